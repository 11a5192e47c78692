package socketcluster_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/jwks"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/login"
)

// hidden is in each secret of these tests. It is a key and part of a token.
const hidden = "correct-horse-battery-staple-32-bytes"

// secretHolders are values of the exported types that hold secrets, by the names of
// the types.
func secretHolders(t *testing.T, w *world) map[string]any {
	t.Helper()
	pair, err := auth.NewJWT(auth.Options{Key: hidden})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := auth.NewToken(hidden, []byte(`{"secret":"`+hidden+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	generated, err := auth.NewJWT(auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := auth.NewKeyRing(auth.RingKey{ID: "a", Key: auth.HMACKey([]byte(hidden))})
	if err != nil {
		t.Fatal(err)
	}
	key, _ := ring.Signing()
	request := httptest.NewRequest(http.MethodGet, "/?q="+hidden, nil)
	request.Header.Set("Cookie", "token="+hidden)
	request.Header.Set("Authorization", "Bearer "+hidden)
	s, raw := w.only(), json.RawMessage(`"`+hidden+`"`)
	c, err := client.New("ws://u:"+hidden+"@example.com/?q="+hidden, client.Options{Header: request.Header, Logger: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	store := new(client.MemoryStore)
	if err := store.Save(t.Context(), "a", hidden); err != nil {
		t.Fatal(err)
	}
	node, err := cluster.Start(t.Context(), cluster.Options{Name: "a", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	revocations, err := node.Revocations(t.Context(), cluster.RevocationOptions{})
	if err == nil {
		err = revocations.Add(t.Context(), revoke.Revocation{JTI: hidden})
	}
	if err != nil {
		t.Fatal(err)
	}
	node.Close()
	upstreamOptions := upstream.Options{URL: "ws://u:" + hidden + "@example.com/?q=" + hidden, Client: client.Options{Header: request.Header}}
	behind, err := upstream.New(upstreamOptions)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"auth.Token":     tok,
		"auth.Options":   auth.Options{Key: hidden, PrivateKey: []byte(hidden), SignatureKey: key.Key, Keys: ring},
		"auth.JWT":       pair,
		"auth.Key":       key.Key,
		"auth.RingKey":   key,
		"auth.KeyRing":   ring,
		"generated":      generated,
		"auth.sources":   auth.KeySources{ring},
		"revoke.Engine":  revoke.Engine{Engine: pair, Store: new(revoke.Memory)},
		"authenticator":  &httpauth.Authenticator{Engine: pair},
		"authenticator2": w.srv.Authenticator(),

		"socketcluster.Config": socketcluster.Config{Auth: auth.Options{Key: hidden, PrivateKey: []byte(hidden), Keys: ring}, AuthEngine: pair},
		"socketcluster.Server": w.srv,
		"socketcluster.Socket": s,

		"jwks.Options":  jwks.Options{URLs: []string{"https://u:" + hidden + "@example.com/keys?q=" + hidden}},
		"login.Attempt": login.Attempt{User: hidden, Socket: s, Request: request},

		"socketcluster.Upgrade":              &socketcluster.Upgrade{Request: request},
		"socketcluster.Handshake":            &socketcluster.Handshake{Request: request, Socket: s, SignedAuthToken: hidden, AuthToken: tok},
		"socketcluster.Authenticate":         &socketcluster.Authenticate{Socket: s, SignedAuthToken: hidden, AuthToken: tok},
		"socketcluster.RawMessage":           &socketcluster.RawMessage{Socket: s, Data: []byte(hidden)},
		"socketcluster.Transmit":             &socketcluster.Transmit{Socket: s, Data: raw},
		"socketcluster.Invoke":               &socketcluster.Invoke{Socket: s, Data: raw},
		"socketcluster.Subscribe":            &socketcluster.Subscribe{Socket: s, Data: raw},
		"socketcluster.PublishIn":            &socketcluster.PublishIn{Socket: s, Data: raw},
		"socketcluster.PublishOut":           &socketcluster.PublishOut{Socket: s, Data: raw},
		"socketcluster.Call":                 &socketcluster.Call{Socket: s, Data: raw},
		"socketcluster.Transmission":         &socketcluster.Transmission{Socket: s, Data: raw},
		"socketcluster.MessageEvent":         socketcluster.MessageEvent{Socket: s, Data: []byte(hidden)},
		"socketcluster.PublishEvent":         socketcluster.PublishEvent{Socket: s, Channel: "a", Data: []byte(hidden)},
		"socketcluster.RawEvent":             socketcluster.RawEvent{Socket: s, Data: []byte(hidden)},
		"socketcluster.AuthenticateEvent":    socketcluster.AuthenticateEvent{Socket: s, AuthToken: tok},
		"socketcluster.DeauthenticateEvent":  socketcluster.DeauthenticateEvent{Socket: s, OldAuthToken: tok},
		"socketcluster.AuthStateChangeEvent": socketcluster.AuthStateChangeEvent{Socket: s, AuthToken: tok},
		"socketcluster.BadAuthTokenEvent":    socketcluster.BadAuthTokenEvent{Socket: s, SignedAuthToken: hidden},
		"socketcluster.AuthTokenSignedEvent": socketcluster.AuthTokenSignedEvent{Socket: s, SignedAuthToken: hidden},

		"cluster.Options":     cluster.Options{Secret: hidden, URL: "nats://u:" + hidden + "@example.com"},
		"cluster.Node":        node,
		"upstream.Options":    upstreamOptions,
		"upstream.Broker":     behind,
		"cluster.Answer":      cluster.Answer{Data: raw},
		"cluster.Revocations": revocations,

		"cluster.Publication": cluster.Publication{Data: []byte(hidden)},
		"broker.Publication":  broker.Publication{Data: []byte(hidden)},

		"client.Client":               c,
		"client.MemoryStore":          store,
		"client.Options":              client.Options{Header: request.Header},
		"client.ConnectEvent":         client.ConnectEvent{Client: c, SignedAuthToken: hidden},
		"client.MessageEvent":         client.MessageEvent{Client: c, Data: []byte(hidden)},
		"client.RawEvent":             client.RawEvent{Client: c, Data: []byte(hidden)},
		"client.AuthenticateEvent":    client.AuthenticateEvent{Client: c, SignedAuthToken: hidden, AuthToken: tok},
		"client.DeauthenticateEvent":  client.DeauthenticateEvent{Client: c, OldSignedAuthToken: hidden, OldAuthToken: tok},
		"client.AuthStateChangeEvent": client.AuthStateChangeEvent{Client: c, SignedAuthToken: hidden, AuthToken: tok},
		"client.RemoveAuthTokenEvent": client.RemoveAuthTokenEvent{Client: c, OldSignedAuthToken: hidden},
	}
}

// forms are how a secret may show.
func forms(secret string) []string {
	decimal := strings.Trim(fmt.Sprint([]byte(secret)), "[]")
	return []string{
		secret, decimal, strings.ReplaceAll(decimal, " ", ","), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		base64.StdEncoding.EncodeToString([]byte(secret))[:40],
	}
}

// shows returns how a value has been printed that shows a secret, "" if it has not.
func shows(v any, secrets ...string) string {
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%o"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if b, err := json.Marshal(v); err == nil {
		texts = append(texts, string(b))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("", "v", v, slog.Group("g", "v", v))
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "v", v, slog.Group("g", "v", v))
	texts = append(texts, log.String())
	for _, text := range texts {
		for _, secret := range secrets {
			for _, form := range forms(secret) {
				if strings.Contains(text, form) {
					return text
				}
			}
		}
	}
	return ""
}

// copied are those of the types above which are used by their address, and may be
// copied.
var copied = []string{"Token", "Upgrade", "Handshake", "Authenticate", "RawMessage", "Transmit", "Invoke", "Subscribe", "PublishIn", "PublishOut"}

// Whatever prints a type that holds a token or a key does not show it: by itself, by
// a pointer to it or without one, and in what holds it in turn.
func TestSecretsAreNotPrinted(t *testing.T) {
	cfg := socketcluster.Config{Auth: auth.Options{Key: hidden}, TokenSources: []httpauth.Source{httpauth.Bearer()}}
	inBubble(t, cfg, func(w *world) {
		signed, err := w.srv.Auth().Sign(t.Context(), map[string]any{"username": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		var contexts []context.Context
		w.srv.UseHandshake(func(_ context.Context, a socketcluster.Action) error {
			if a, ok := a.(*socketcluster.Handshake); ok {
				contexts = append(contexts, a.Request.Context(), httpauth.NewContext(a.Request.Context(), a.AuthToken))
			}
			return nil
		})
		w.connectWith(with("Authorization", "Bearer "+signed.Signed()), "null")
		synctest.Wait()
		for _, ctx := range contexts {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
				if text := fmt.Sprintf(verb, ctx); strings.Contains(text, signed.Signed()) {
					t.Errorf("the context of a request is printed as %s", text)
				}
			}
		}
		if len(contexts) != 2 {
			t.Errorf("%d contexts", len(contexts))
		}
		for name, v := range secretHolders(t, w) {
			secrets := []string{hidden, signed.Signed()}
			if j, ok := v.(*auth.JWT); ok && j.GeneratedKey() != "" {
				secrets = append(secrets, j.GeneratedKey())
			}
			values := []any{v, []any{v}, map[string]any{"k": v}, struct{ V any }{v}, &struct{ V any }{v}, struct{ v *any }{&v}}
			if r := reflect.ValueOf(v); r.Kind() != reflect.Pointer {
				p := reflect.New(r.Type())
				p.Elem().Set(r)
				values = append(values, p.Interface())
			} else if slices.Contains(copied, r.Elem().Type().Name()) {
				values = append(values, r.Elem().Interface())
			}
			for _, v := range values {
				if text := shows(v, secrets...); text != "" {
					t.Errorf("%s, as a %T, is printed as %s", name, v, text)
				}
			}
		}
	})
}

// The printed text is useful.
func TestRedactedText(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.client()
		s := w.only()
		tok, err := auth.NewToken("abc", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := w.srv.Auth().Sign(t.Context(), struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		of := "socketcluster.Socket{" + s.ID() + "}"
		var noToken *auth.Token
		var noSocket *socketcluster.Socket
		var noServer *socketcluster.Server
		for want, v := range map[string]any{
			"auth.Token{3 bytes}": tok,
			fmt.Sprintf("auth.Token{HS256 %d bytes}", len(signed.Signed())): signed,
			"socketcluster.Server{/socketcluster/}":                         w.srv,
			of:                                                              s,
			"socketcluster.Config{Auth:auth.Options{Key:[3 bytes] DefaultExpiry:1s} TokenRenewal:{Every:1m0s ExpiresIn:0s Margin:0s Jitter:0s} Origins:[a:1] Logger:*slog.Logger}": socketcluster.Config{
				Auth: auth.Options{Key: "abc", DefaultExpiry: 1e9}, Origins: []string{"a:1"}, TokenRenewal: socketcluster.TokenRenewal{Every: 60e9}, Logger: slog.Default(),
			},
			"socketcluster.Authenticate{Socket:" + of + " SignedAuthToken:[3 bytes] AuthToken:auth.Token{3 bytes}}": &socketcluster.Authenticate{Socket: s, SignedAuthToken: "abc", AuthToken: tok},
			"socketcluster.Upgrade{Request:*http.Request}":                                                          socketcluster.Upgrade{Request: new(http.Request)},
			"login.Attempt{User:[3 bytes] Request:*http.Request}":                                                   login.Attempt{User: "abc", Request: new(http.Request)},
			"jwks.Options{URLs:[https://a.com/b not a URL] Issuer:c}":                                               jwks.Options{URLs: []string{"https://u:p@a.com/b?c", "%"}, Issuer: "c"},
			"socketcluster.Handshake{Request:*http.Request AuthTokenError:EOF}":                                     &socketcluster.Handshake{Request: new(http.Request), AuthTokenError: io.EOF},
			"socketcluster.MessageEvent{Socket:" + of + " Binary:true Data:[2 bytes]}":                              socketcluster.MessageEvent{Socket: s, Binary: true, Data: []byte("ab")},
		} {
			text := fmt.Sprintf("%+v", v)
			quoted, err := json.Marshal(v)
			if text != want || err != nil || string(quoted) != quote(want) {
				t.Errorf("got %s and %s, %v; want %s", text, quoted, err, want)
			}
		}
		if text := fmt.Sprint(noToken, noSocket, noServer); text != "<nil> <nil> <nil>" {
			t.Errorf("nothing is printed as %s", text)
		}
	})
}

// secretNames are names of fields that hold secrets, if they are of text or bytes. An
// address may have a password in it.
var secretNames = regexp.MustCompile(`(?i)token|secret|key$|signed|password|payload|^data$|^urls?$`)

// secretKinds are types of fields that hold secrets, whatever the name. fmt looks
// behind a pointer for verbs that do not fit it, %s for one.
var secretKinds = []string{"*http.Request", "http.Request", "http.Header", "*http.Response", "*http.Cookie", "http.Cookie", "*url.URL", "url.URL"}

// publicFields are fields with such a name that hold no secret, and why.
var publicFields = map[string]string{
	"client.Options.AuthTokenName": "is a name",
	"password.Hasher.nobody":       "is random, and no password has it",
	"wire.Field.Key":               "is a name",
	"wire.Packet.Data":             "is what a message consists of",
	"wire.Publish.Data":            "is what a message consists of",
	"wire.Subscribe.Data":          "is what a message consists of",
}

// Each exported type with a field whose name says that it holds a secret, or that
// holds such a type as a value, is among those that are printed above.
func TestAllSecretHoldersAreKnown(t *testing.T) {
	structs := parseStructs(t)
	holds := map[string]string{} // type: the field
	for again := true; again; {
		again = false
		for name, fields := range structs {
			for field, kind := range fields {
				secret := slices.Contains(secretKinds, kind) ||
					secretNames.MatchString(field) && slices.Contains([]string{"string", "[]string", "[]byte", "json.RawMessage"}, kind)
				_, inner := holds[kind]
				if at := name + "." + field; (secret || inner) && holds[name] == "" && publicFields[at] == "" {
					holds[name], again = field, true
				}
			}
		}
	}
	var known map[string]any
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.client()
		known = secretHolders(t, w)
	})
	found := 0
	for _, name := range slices.Sorted(maps.Keys(holds)) {
		_, typeName, _ := strings.Cut(name, ".")
		if !ast.IsExported(typeName) {
			continue
		}
		found++
		if _, ok := known[name]; !ok {
			t.Errorf("%s holds a secret in %s, and nobody looks at how it is printed", name, holds[name])
		}
	}
	if found < 10 {
		t.Errorf("only %d types are found", found)
	}
}

// parseStructs returns the fields of the structs of the packages that applications
// import, and their types as they are written, with the package's name if it is left
// out.
func parseStructs(t *testing.T) map[string]map[string]string {
	t.Helper()
	structs := map[string]map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"internal", "cmd", "examples", "docs", "scripts", "tools"}, path) || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[file.Name.Name+"."+spec.Name.Name] = fieldsOf(file.Name.Name, s)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return structs
}

func fieldsOf(pkg string, s *ast.StructType) map[string]string {
	fields := map[string]string{}
	for _, f := range s.Fields.List {
		var kind string
		typ, pointer := f.Type, ""
		if x, ok := typ.(*ast.StarExpr); ok {
			typ, pointer = x.X, "*"
		}
		switch x := typ.(type) {
		case *ast.Ident:
			if kind = x.Name; kind != "string" {
				kind = pkg + "." + kind
			}
		case *ast.SelectorExpr:
			kind = fmt.Sprint(x.X, ".", x.Sel)
		case *ast.ArrayType:
			kind = fmt.Sprint("[]", x.Elt)
		}
		kind = pointer + kind
		for _, name := range f.Names {
			fields[name.Name] = kind
		}
		if len(f.Names) == 0 {
			fields[kind[strings.LastIndexByte(kind, '.')+1:]] = kind
		}
	}
	return fields
}
