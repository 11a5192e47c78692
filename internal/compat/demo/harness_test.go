package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

// eval evaluates an expression in a page.
func eval[T any](tab *browsertest.Tab, expression string) (value T) {
	tab.Eval(expression, &value)
	return value
}

// waitFor waits until an expression is true.
func waitFor(tab *browsertest.Tab, expression string) {
	tab.Eval(fmt.Sprintf(`new Promise((resolve, reject) => {
		const deadline = Date.now() + %d;
		const look = () => {
			if (%s) resolve();
			else if (Date.now() > deadline) reject(new Error('it did not become true'));
			else setTimeout(look, 25);
		};
		look();
	})`, (browsertest.Timeout-2*time.Second).Milliseconds(), expression), nil)
}

// focused returns the id of the element that has the focus.
func focused(tab *browsertest.Tab) string {
	return eval[string](tab, `document.activeElement.id`)
}

// paste puts text into a field as a paste does, which a limit of the field
// would cut.
func paste(tab *browsertest.Tab, id, text string) {
	tab.Eval(fmt.Sprintf(`document.getElementById(%s).focus(); document.execCommand('insertText', false, %s)`, quote(id), quote(text)), nil)
}

// send writes a message in the form of the chat or of private messages.
func send(tab *browsertest.Tab, form, text string) {
	tab.SetValue("#"+form+"-input", text)
	tab.Click("#" + form + "-send")
}

// clickButton clicks the button with a label in an element.
func clickButton(tab *browsertest.Tab, selector, label string) {
	find := fmt.Sprintf(`[...document.querySelectorAll(%s)].find((button) => button.textContent === %s && !button.disabled)`, quote(selector+" button"), quote(label))
	waitFor(tab, find)
	tab.Eval(`(() => { const button = `+find+`; button.focus(); button.click(); })()`, nil)
}

// sign makes a token.
func sign(t *testing.T, key string, claims map[string]any) string {
	t.Helper()
	engine, err := auth.NewJWT(auth.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	token, err := engine.Sign(context.Background(), claims)
	if err != nil {
		t.Fatal(err)
	}
	return token.Signed()
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(b)
}
