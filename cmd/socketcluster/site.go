package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path"
	"time"

	"github.com/socketcluster-go/socketcluster/browser"
)

// tokenName is the key under which clients of the protocol keep their token in
// localStorage.
const tokenName = "socketcluster.authToken"

// pageConfig is the content of config.json, which the page reads.
type pageConfig struct {
	Client    string    `json:"client"` // "browser" or "stock"
	TokenName string    `json:"tokenName"`
	Users     []account `json:"users"`
	// DirectMessages: each user may publish on the channel user/<name> of another.
	DirectMessages bool `json:"directMessages"`
}

// siteHeaders protect the token in localStorage from foreign scripts: the page
// runs only its own files, and nobody may frame it.
var siteHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Cache-Control":                "no-cache",
}

// pageTypes are fixed because those of the system may differ, and nosniff makes
// browsers insist on them.
var pageTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// newSite serves everything but the sockets.
func newSite(facts pageConfig, client http.Handler, login http.Handler) http.Handler {
	files := http.FileServerFS(page())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if t, ok := pageTypes[path.Ext(r.URL.Path)]; ok {
			w.Header().Set("Content-Type", t)
		}
		files.ServeHTTP(w, r)
	})
	mux.Handle("GET /client.js", client)
	mux.Handle("GET /recovery.js", browser.RecoveryHandler())
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, facts) })
	mux.Handle("POST /login", login)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range siteHeaders {
			w.Header().Set(name, value)
		}
		mux.ServeHTTP(w, r)
	})
}

// script serves a JavaScript file.
func script(source []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", pageTypes[".js"])
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(source))
	})
}

// writeJSON responds with JSON that must not be cached.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
