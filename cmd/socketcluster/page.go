package main

import (
	"embed"
	"io/fs"
)

//go:embed page
var pageFiles embed.FS

// page is the demo page with its style and script.
func page() fs.FS {
	sub, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
