package jsclient

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The samples in JavaScript do on the stock server what those in Go do here.
func TestSamplesOnTheStockServer(t *testing.T) {
	n := startNode(t)
	port := decode[int](t, n.do(t, "serveGuide", key, renewEvery.Milliseconds(), "30m", false))
	stock := &server{port: port}

	c := n.connected(t, stock, nil)
	for _, wrong := range []credentials{{"nobody", alice.Password}, {alice.Username, "wrong"}} {
		_, err := c.try(t, "guide", "login", wrong)
		wantJSError(t, err, "LoginError", "Invalid user credentials")
	}
	token := decode[claims](t, c.do(t, "guide", "login", alice))
	if token.Username != alice.Username || len(token.Channels) != 2 {
		t.Errorf("the client has %+v", token)
	}
	c.do(t, "publish", "news", "hello")
	_, err := c.try(t, "publish", "staff", "hello")
	wantJSError(t, err, "PublishError", "You may not publish to staff")

	first := nextToken(t, c)
	for range 2 {
		next := nextToken(t, c)
		if next["jti"] == first["jti"] || next["username"] != alice.Username || next["exp"].(float64)-next["iat"].(float64) != renewLife.Seconds() {
			t.Errorf("renewed: %v", next)
		}
		first = next
	}
	c.do(t, "invoke", "logout", nil)
	c.wait(t, "removeAuthToken")
	c.wantUser(t, "")
	_, err = c.try(t, "publish", "news", "hello")
	wantJSError(t, err, "PublishError", "You may not publish to news")

	for _, signed := range []string{
		decode[string](t, n.do(t, "fetchToken", "http://127.0.0.1:"+strconv.Itoa(port)+"/", alice)),
		decode[string](t, n.do(t, "signElsewhere", key, alice.Username, []string{"news"})),
	} {
		wantAccepted(t, n, stock, signed)
	}
	log := strings.Join(decode[[]string](t, n.do(t, "guideLog")), "; ")
	if !strings.HasPrefix(log, "connected, known: false; alice123 is in; ") || !strings.Contains(log, "alice123 is out; ") {
		t.Errorf("the log says %s", log)
	}

	// Where no renewal comes between.
	quiet := &server{port: decode[int](t, n.do(t, "serveGuide", key, 3600_000, "30m", false))}
	c = n.connected(t, quiet, nil)
	c.do(t, "invoke", "moment", nil)
	moment := decode[struct {
		AuthToken struct{ Iat, Exp float64 }
	}](t, c.wait(t, "authenticate")).AuthToken
	if moment.Exp != moment.Iat+1 {
		t.Errorf("a moment: %v", moment)
	}
}

var (
	sampleStart = regexp.MustCompile(`^\s*// sample: (.*)$`)
	shown       = regexp.MustCompile("(?s)<!-- (\\S+): ([^>]*) -->\n+```\\w+\n(.*?)```")
)

// docs holds what the project's documentation says about porting.
const docs = "../../../docs/PORTING*.md"

// DOC-16: what the documentation shows is the code that the tests run, and all
// of it.
func TestDocumentedSamples(t *testing.T) {
	samples := make(map[string]string)
	for _, name := range []string{"guide_test.go", "migration_test.go", "js/guide.mjs", "js/guide_server.mjs"} {
		readSamples(t, name, samples)
	}
	pages, err := filepath.Glob(docs)
	if err != nil || len(pages) == 0 {
		t.Fatalf("no documentation: %v", err)
	}
	seen := make(map[string]bool)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shown.FindAllStringSubmatch(string(text), -1) {
			key := m[1] + ": " + m[2]
			if !strings.HasPrefix(key, sampleDir) {
				continue // another package's
			}
			seen[key] = true
			if want, ok := samples[key]; !ok {
				t.Errorf("%s shows %s, which does not exist", page, key)
			} else if m[3] != want {
				t.Errorf("%s shows of %s\n%s\nbut it is\n%s", page, key, m[3], want)
			}
		}
	}
	for key := range samples {
		if !seen[key] {
			t.Errorf("no page shows %s", key)
		}
	}
}

// sampleDir is in front of the names of files in the documentation.
const sampleDir = "internal/compat/jsclient/"

// readSamples takes the samples out of a file, without their indentation.
func readSamples(t *testing.T, name string, samples map[string]string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var title, indent string
	var body strings.Builder
	for line := range strings.Lines(string(text)) {
		switch m := sampleStart.FindStringSubmatch(strings.TrimSuffix(line, "\n")); {
		case m != nil:
			title, indent = m[1], line[:strings.Index(line, "//")]
			body.Reset()
		case title != "" && strings.TrimSpace(line) == "// end":
			samples[sampleDir+name+": "+title] = strings.TrimRight(body.String(), "\n") + "\n"
			title = ""
		case title != "":
			body.WriteString(strings.TrimPrefix(line, indent))
		}
	}
	if title != "" {
		t.Fatalf("%s: the sample %s has no end", name, title)
	}
}
