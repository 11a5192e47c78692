package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testKey = "0123456789abcdef0123456789abcdef"

// outcome is what a command has printed, and its exit status.
type outcome struct {
	out, err string
	status   int
}

// runWith runs the command with a standard input.
func runWith(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, err bytes.Buffer
	status := exit(run(t.Context(), args, streams{strings.NewReader(stdin), &out, &err}), &err)
	if strings.Contains(out.String()+err.String(), testKey) {
		t.Errorf("%q prints the key", args)
	}
	return outcome{out.String(), err.String(), status}
}

// signed makes a token with the key of the environment or of the flags.
func signed(t *testing.T, claims string, flags ...string) string {
	t.Helper()
	o := runWith(t, claims, append([]string{"token", "sign"}, flags...)...)
	if o.status != 0 || o.err != "" {
		t.Fatalf("token sign: %+v", o)
	}
	return o.out
}

func keyPairPEM(t *testing.T) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("PRIVATE KEY", privateDER), block("PUBLIC KEY", publicDER)
}

func symmetricJWK(kid, secret string) string {
	return fmt.Sprintf(`{"kty":"oct","kid":%q,"alg":"HS256","k":%q}`, kid, base64.RawURLEncoding.EncodeToString([]byte(secret)))
}

func TestTokenRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clearSettings(t)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY", testKey)
		o := runWith(t, signed(t, `{"username":"alice","n":12345678901234567890}`, "--token-expiry=1h"), "token", "verify")
		want := outcome{
			out: "{\n  \"username\": \"alice\",\n  \"n\": 12345678901234567890,\n  \"iat\": 946684800,\n  \"exp\": 946688400\n}\n",
			err: "The token is good. It expires at 2000-01-01T01:00:00Z.\n",
		}
		if diff := cmp.Diff(want, o, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Error(diff)
		}
		o = runWith(t, signed(t, `{"exp":946684900}`), "token", "verify")
		if !strings.Contains(o.err, "expires at 2000-01-01T00:01:40Z") {
			t.Errorf("exp of the claims: %+v", o)
		}
	})
}

// Whatever form the key has, the file of the signer fits that of the verifier.
func TestKeyFiles(t *testing.T) {
	clearSettings(t)
	private, public := keyPairPEM(t)
	other, _ := keyPairPEM(t)
	set := `{"keys":[` + symmetricJWK("new", "another key, of 32 bytes at least") + "," + symmetricJWK("old", testKey) + "]}"
	for name, c := range map[string]struct{ sign, verify, foreign string }{
		"text":  {testKey, testKey + "\r\n", "another key, of 32 bytes at least"},
		"PEM":   {private, public, other},
		"JWK":   {symmetricJWK("old", testKey), symmetricJWK("old", testKey), symmetricJWK("old", "another key, of 32 bytes at least")},
		"set":   {symmetricJWK("old", testKey), set, symmetricJWK("third", testKey)},
		"a kid": {testKey, testKey, symmetricJWK("", "another key, of 32 bytes at least")},
	} {
		t.Run(name, func(t *testing.T) {
			token := signed(t, `{"username":"alice"}`, "--auth-key-file="+writeFile(t, "sign", c.sign))
			if o := runWith(t, token, "token", "verify", "--auth-key-file="+writeFile(t, "verify", c.verify)); o.status != 0 || !strings.Contains(o.out, `"alice"`) {
				t.Errorf("verify: %+v", o)
			}
			if o := runWith(t, token, "token", "verify", "--auth-key-file="+writeFile(t, "foreign", c.foreign)); o.status != 1 || o.out != "" || !strings.Contains(o.err, "the token is refused: ") {
				t.Errorf("verify with another key: %+v", o)
			}
		})
	}
}

// A key file of the demo: the server accepts tokens of the command, and the
// command those of the server.
func TestKeyFileOfTheDemo(t *testing.T) {
	private, public := keyPairPEM(t)
	for name, text := range map[string]string{"text": testKey, "PEM": private, "JWK": symmetricJWK("a", testKey)} {
		t.Run(name, func(t *testing.T) {
			clearSettings(t)
			flag := "--auth-key-file=" + writeFile(t, "key", text)
			verifier := flag
			if name == "PEM" {
				verifier = "--auth-key-file=" + writeFile(t, "public", public)
			}
			inBubble(t, []string{flag, "--token-expiry=10m"}, func(t *testing.T, w *world) {
				p := w.connect(strings.TrimSpace(signed(t, `{"username":"carol"}`, flag)))
				if err := p.publish("chat", map[string]string{"text": "hello"}); err != nil {
					t.Errorf("publish: %+v", err)
				}
				p = w.login("alice")
				var data struct{ Token string }
				if err := json.Unmarshal(p.event("#setAuthToken").Data, &data); err != nil {
					t.Fatal(err)
				}
				o := runWith(t, data.Token, "token", "verify", verifier)
				if o.status != 0 || !strings.Contains(o.err, "expires at 2000-01-01T00:10:00Z") {
					t.Errorf("verify: %+v", o)
				}
			})
		})
	}
}

func TestTokenIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clearSettings(t)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY", testKey)
		token := signed(t, `{"username":"alice"}`, "--token-expiry=10s")
		bad := strings.TrimSpace(token) + "x"
		early := signed(t, `{"nbf":946689000}`)
		time.Sleep(10 * time.Second)
		for text, want := range map[string]string{
			token:   "the token is refused: AuthTokenExpiredError: jwt expired (at 2000-01-01T00:00:10Z)",
			bad:     "the token is refused: AuthTokenInvalidError: invalid ",
			early:   "the token is refused: AuthTokenNotBeforeError: jwt not active",
			"alice": "the token is refused: AuthTokenInvalidError: jwt malformed",
		} {
			for _, command := range [][]string{{"token", "verify"}, {"check", "--rules=" + writeFile(t, "rules.json", "[]"), "chat"}} {
				if o := runWith(t, text, command...); o.status != 1 || o.out != "" || !strings.HasPrefix(o.err, "socketcluster: "+want) {
					t.Errorf("%q of %q: %+v, want %q", command, text, o, want)
				}
			}
		}
	})
}

func TestUnverifiedToken(t *testing.T) {
	clearSettings(t)
	payload := func(text string) string { return "e30." + base64.RawURLEncoding.EncodeToString([]byte(text)) + "." }
	o := runWith(t, payload(`{"username":"alice","exp":100}`), "token", "verify", "--unverified")
	if o.status != 0 || o.err != "NOT VERIFIED: anybody may have written this token. It says that it expires at 1970-01-01T00:01:40Z.\n" ||
		o.out != "{\n  \"username\": \"alice\",\n  \"exp\": 100\n}\n" {
		t.Errorf("got %+v", o)
	}
	for _, text := range []string{"a.b", "a.b.c.d", "e30.%%.", payload("[]"), payload(`{"a":1,"a":2}`), payload("{")} {
		if o := runWith(t, text, "token", "verify", "--unverified"); o.status != 1 || o.out != "" || !strings.Contains(o.err, "this is not a token") {
			t.Errorf("%q: %+v", text, o)
		}
	}
}

// An error in reading a token is not a refusal of it.
func TestTokenTrouble(t *testing.T) {
	clearSettings(t)
	key := "--auth-key-file=" + writeFile(t, "key", testKey)
	private, public := keyPairPEM(t)
	for _, c := range []struct{ stdin, args, want string }{
		{"x", "token verify", "no key is set: use --auth-key-file or $SOCKETCLUSTER_AUTH_KEY"},
		{"{}", "token sign", "no key is set: use --auth-key-file or $SOCKETCLUSTER_AUTH_KEY"},
		{"x", "token verify --auth-key-file none", "none"},
		{"x", "token verify --auth-key-file " + writeFile(t, "empty", "\n"), "is empty"},
		{"x", "token verify --auth-key-file " + writeFile(t, "weak", "weak"), "Key: has 4 bytes"},
		{"x", "token verify --auth-key-file " + writeFile(t, "pem", private[:60]), "PEM"},
		{"x", "token verify --auth-key-file " + writeFile(t, "jwk", "{}"), "key type"},
		{"x", "token verify --auth-key-file " + writeFile(t, "large", strings.Repeat("x", maxKeyFile+1)), "has more than"},
		{"{}", "token sign --auth-key-file " + writeFile(t, "public", public), "the claims cannot be signed"},
		{" \n", "token verify " + key, "there is no token in the standard input"},
		{strings.Repeat("x", maxToken+1), "token verify " + key, "the standard input has more than"},
		{"", "token verify --token-file none " + key, "none"},
		{"", "token sign " + key, "contains no claims"},
		{"[]", "token sign " + key, "object"},
		{`{"exp":"soon"}`, "token sign " + key, "exp"},
		{"", "token", "accepts 1 arg(s), received 0"},
		{"", "token decode", `invalid argument "decode"`},
		{"", "token verify eyJ.e30.x", "the token is read from the standard input"},
		{"", "token sign {}", `unknown command "{}"`},
		{"{}", "token sign --token-expiry 10ms " + key, "DefaultExpiry: is 10ms"},
		{"{}", "token sign --nonsense", "--nonsense"},
	} {
		if o := runWith(t, c.stdin, strings.Fields(c.args)...); o.status != 2 || o.out != "" || !strings.Contains(o.err, c.want) {
			t.Errorf("%q: %+v, want %q", c.args, o, c.want)
		}
	}
}
