package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/internal/section"
)

const root = "../.."

// inspected is the report about the project. It takes seconds under the race detector.
var inspected = sync.OnceValues(func() (report, error) { return inspect(root) })

// Every rule of the protocol is decided, and what names a rule names one that
// is there.
func TestEveryRuleIsDecided(t *testing.T) {
	r, err := inspected()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.problems() {
		t.Error(p)
	}
	if len(r.entries) < 395 {
		t.Errorf("%d rules; none is ever taken away", len(r.entries))
	}
}

// The document has the table that the command prints.
func TestTableIsCurrent(t *testing.T) {
	r, err := inspected()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	table, err := section.Read(string(text), part)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(table, "\n"), strings.Split(r.summary(), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("The table is old. Run: go run ./internal/conformance -w\n%s", diff)
	}
}

func TestMentions(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"HS-3, HS-7: what closes", []string{"HS-3", "HS-7"}},
		{"HS-3 to HS-5 and TR-1", []string{"HS-3", "HS-4", "HS-5", "TR-1"}},
		{"HS-3 to TR-5", []string{"HS-3"}},
		{"(QK-9)", []string{"QK-9"}},
		{"UTF-8, CVE-2015-9235, XHS-1, HS-1a, HS256, hs-1, HS-", nil},
	} {
		var got []string
		mentions(test.text, func(id string, at int) {
			got = append(got, id)
			if !strings.HasPrefix(test.text[at:], id[:2]) {
				t.Errorf("%s is not at %d of %q", id, at, test.text)
			}
		})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
	}
}

func TestScanGo(t *testing.T) {
	const text = `package p

// TR-1: between declarations it belongs to nothing.

// TR-2: a comment.
func TestA(t *testing.T) {
	t.Run("TR-3: a case", nil) // TR-4
	// TR-5
}

var cases = []string{"TR-6 of a table"}

// TR-7
func BenchmarkA(b *testing.B) {}
`
	got := named{}
	if err := scanGo("a_test.go", text, got); err != nil {
		t.Fatal(err)
	}
	want := named{
		"TR-2": {{"a_test.go", "TestA"}},
		"TR-3": {{"a_test.go", `TestA "TR-3: a case"`}},
		"TR-4": {{"a_test.go", "TestA"}},
		"TR-5": {{"a_test.go", "TestA"}},
		"TR-6": {{"a_test.go", `var "TR-6 of a table"`}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(place{})); diff != "" {
		t.Error(diff)
	}
	if err := scanGo("a_test.go", "no Go", got); err == nil {
		t.Error("text that is no Go was read")
	}
}

func TestScanJS(t *testing.T) {
	got := named{}
	scanJS("browser/test/a.test.mjs", "test('CL-1, CL-2: a case', () => {\n  check(); // CL-3\n});\n", got)
	want := named{
		"CL-1": {{"browser/test/a.test.mjs", `"CL-1, CL-2: a case"`}},
		"CL-2": {{"browser/test/a.test.mjs", `"CL-1, CL-2: a case"`}},
		"CL-3": {{"browser/test/a.test.mjs", "check(); // CL-3"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(place{})); diff != "" {
		t.Error(diff)
	}
}

func TestScanDeviations(t *testing.T) {
	const text = `HS-1 in the text.

| Id | Here |
|---|---|
| HS-2, HS-3 to HS-4 | not HS-5 |
| MB, QK-9 | a chapter |
| – | nothing |

| Letters | About |
|---|---|
| HS-6 | no deviation |
`
	rules := []rule{{"MB-1", serverSide, ""}, {"HS-1", serverSide, ""}, {"MB-2", serverSide, ""}}
	want := []string{"HS-2", "HS-3", "HS-4", "QK-9", "MB-1", "MB-2"}
	if diff := cmp.Diff(want, scanDeviations(text, rules)); diff != "" {
		t.Error(diff)
	}
}

func TestScanUntested(t *testing.T) {
	const text = `| Id | Class | Why |
|---|---|---|
| HS-1 | Other | is a deviation |

| Rule | Class | Why |
|---|---|---|
| CL-1 | Go client | waits |
| CV-1, DOC-2 to DOC-3 | Other | of CL-2 |
| CL-3 | Go client | |
| CL-4 | Go client |

| CL-5 | Go client | is in no table |
`
	want := map[string]string{"CL-1": "Go client", "CV-1": "Other", "DOC-2": "Other", "DOC-3": "Other"}
	if diff := cmp.Diff(want, scanUntested(text)); diff != "" {
		t.Error(diff)
	}
}

// The document names each rule of the classes without a test, in its class, and
// no others.
func TestUntestedRulesAreExplained(t *testing.T) {
	rules := []rule{
		{"TR-1", serverSide, "tested"}, {"TR-2", serverSide, "undecided"}, {"TR-3", serverSide, "listed"},
		{"CL-1", clientSide, "named"}, {"CL-2", clientSide, "not named"}, {"CL-3", clientSide, "in the other class"},
		{"CV-1", otherSide, "named"}, {"CV-2", otherSide, "not named"},
	}
	tests := named{"TR-1": {{"a_test.go", "TestA"}}}
	r := newReport(rules, tests, []string{"TR-3"}, map[string]string{
		"TR-1": "Other", "TR-2": "Other", "TR-3": "Go client", "CL-1": "Go client", "CL-3": "Other", "CV-1": "Other", "CL-9": "Go client",
	})
	want := []string{
		"no such rule: CL-9 in docs/PROTOCOL.md",
		`wrong class: TR-1 tested is "Other" in docs/PROTOCOL.md, and is tested`,
		"undecided: TR-2 undecided: no test names it, and docs/PROTOCOL.md does not list it",
		`wrong class: TR-3 listed is "Go client" in docs/PROTOCOL.md, and is deviation`,
		`unexplained: CL-2 not named: docs/PROTOCOL.md does not say why no test names it; its class is "Go client"`,
		`wrong class: CL-3 in the other class is "Other" in docs/PROTOCOL.md, and is Go client`,
		`unexplained: CV-2 not named: docs/PROTOCOL.md does not say why no test names it; its class is "Other"`,
	}
	if diff := cmp.Diff(want, r.problems()); diff != "" {
		t.Error(diff)
	}
}

// How rules are decided, and the report about an undecided one.
func TestReport(t *testing.T) {
	rules := []rule{
		{"TR-1", serverSide, "tested"}, {"TR-2", serverSide, "listed"}, {"TR-3", serverSide, "tested in JavaScript only"},
		{"CL-1", clientSide, "tested"}, {"CL-2", clientSide, "tested with the server only"}, {"CV-1", otherSide, "terms"},
		{"TR-4", serverSide, "tested and listed"}, {"CL-3", clientSide, "tested with the Go client"}, {"TR-5", serverSide, "tested with the Go client only"},
	}
	goClientTest := place{"client/a_test.go", "TestA"}
	js := place{"browser/test/a.test.mjs", "x"}
	goTest := place{"a_test.go", "TestA"}
	r := newReport(rules, named{
		"TR-1": {goTest, js}, "TR-3": {js}, "CL-1": {js}, "CL-2": {goTest}, "TR-4": {goTest}, "TR-9": {goTest},
		"CL-3": {goClientTest}, "TR-5": {goClientTest},
	}, []string{"TR-2", "TR-4", "TR-8"}, map[string]string{"CL-2": "Go client", "CV-1": "Other"})
	var got []status
	for _, e := range r.entries {
		got = append(got, e.status)
	}
	if diff := cmp.Diff([]status{tested, deviation, undecided, tested, goClient, other, tested, tested, undecided}, got); diff != "" {
		t.Error(diff)
	}
	want := []string{
		"no such rule: TR-8 in docs/PROTOCOL.md",
		"no such rule: TR-9 in a_test.go: TestA",
		"undecided: TR-3 tested in JavaScript only: no test names it, and docs/PROTOCOL.md does not list it",
		"undecided: TR-5 tested with the Go client only: no test names it, and docs/PROTOCOL.md does not list it",
	}
	if diff := cmp.Diff(want, r.problems()); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{
		"| TR: transport, messages, batches, closing | 5 | 2 | 1 | 0 | 0 | 2 |\n",
		"| All | 9 | 4 | 1 | 1 | 1 | 2 |\n",
	} {
		if !strings.Contains(r.summary(), line) {
			t.Errorf("%s\nlacks %s", r.summary(), line)
		}
	}
	for _, line := range []string{
		"TR-1 tested (server): tested\n\ta_test.go: TestA\nTR-2 listed (server): deviation\n",
		"TR-4 tested and listed (server): tested, listed as a deviation\n\ta_test.go: TestA\n",
	} {
		if !strings.Contains(r.details(), line) {
			t.Errorf("%s\nlacks %s", r.details(), line)
		}
	}
}

func TestReadRulesErrors(t *testing.T) {
	for _, text := range []string{"id\tside\ttitle\nTR-1\tserver\n", "h\nXX-1\tserver\tx\n", "h\nTR-1\tbrowser\tx\n", "h\nTR-1\tserver\tx\nTR-1\tserver\ty\n"} {
		if _, err := readRules(text); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}
