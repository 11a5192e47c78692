package browser

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

//go:embed socketcluster.js
var module string

//go:embed socketcluster.d.ts
var types string

// Client returns the source text of the JavaScript module.
func Client() string { return module }

// Types returns the TypeScript declarations of the module.
func Types() string { return types }

//go:embed recovery.js
var recovery string

//go:embed recovery.d.ts
var recoveryTypes string

// Recovery returns the source text of the module that lets the npm package
// socketcluster-client recover what it missed.
func Recovery() string { return recovery }

// RecoveryTypes returns the TypeScript declarations of that module.
func RecoveryTypes() string { return recoveryTypes }

// RecoveryHandler serves that module, as Handler does the client.
func RecoveryHandler() http.Handler { return handler(recovery) }

// Handler serves the module at any path. It accepts GET and HEAD, and answers a
// conditional request with 304 while the module is unchanged.
//
// The address has no version, so caches must revalidate each time: a page must
// not run an old module against a new server.
func Handler() http.Handler { return handler(module) }

func handler(module string) http.Handler {
	sum := sha256.Sum256([]byte(module))
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", etag)
		// The type is correct, so browsers must not guess it from the content.
		h.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(module))
	})
}
