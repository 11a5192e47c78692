package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is one page of a Browser.
type Tab struct {
	t      testing.TB
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	errors []string
}

// NewTab opens an empty tab. It is closed with the browser, or by Close. A
// failing step ends the test t.
func (b *Browser) NewTab(t testing.TB) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	tab := &Tab{t: t, ctx: ctx, cancel: cancel}
	if err := chromedp.Listen(ctx, tab.collect); err != nil { // opens the tab as well
		t.Fatalf("open a tab: %v", err)
	}
	return tab
}

// Close closes the tab; its page is unloaded.
func (tab *Tab) Close() {
	tab.t.Helper()
	if err := chromedp.Cancel(tab.ctx); err != nil {
		tab.t.Fatalf("close a tab: %v", err)
	}
}

// Navigate loads url and waits for its load event.
func (tab *Tab) Navigate(url string) {
	tab.t.Helper()
	run(tab, "navigate to "+url, chromedp.Navigate(url))
}

// Eval evaluates a JavaScript expression and decodes its JSON value into
// result, which may be nil. A promise is awaited; an exception or a rejection
// ends the test.
func (tab *Tab) Eval(expression string, result any) {
	tab.t.Helper()
	raw := run(tab, "evaluate "+expression, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if result == nil {
		return
	}
	if err := json.Unmarshal(raw, result); err != nil {
		tab.t.Fatalf("decode the value of %s: %v", expression, err)
	}
}

// WaitText waits until the text of the first element that matches the CSS
// selector contains substring, on this page or on one that it leads to.
func (tab *Tab) WaitText(selector, substring string) {
	tab.t.Helper()
	const contains = `(selector, substring) => {
		const element = document.querySelector(selector);
		return element !== null && element.textContent.includes(substring);
	}`
	// Polling by timer also works in a tab that is not in front, where the
	// browser draws no frames.
	poll := chromedp.PollFunction[bool](contains,
		chromedp.WithPollingArgs(selector, substring),
		chromedp.WithPollingInterval(pollInterval),
		chromedp.WithPollingTimeout(Timeout))
	ctx, cancel := context.WithTimeout(tab.ctx, Timeout)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, poll)
		if err == nil {
			return
		}
		if !leftPage(err) {
			tab.t.Fatalf("wait for %q in %s: %v; errors of the page: %q", substring, selector, err, tab.Errors())
		}
		time.Sleep(pollInterval)
	}
}

// leftPage reports that a step met the end of the page that it ran in.
func leftPage(err error) bool {
	e, ok := errors.AsType[*cdproto.Error](err)
	return ok && (strings.Contains(e.Message, "context was destroyed") || strings.Contains(e.Message, "navigated or closed") || strings.Contains(e.Message, "Cannot find context"))
}

// Text returns the text of the first element that matches the CSS selector.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	return run(tab, "read "+selector, chromedp.TextContent(chromedp.CSS(selector)))
}

// Click clicks the first visible element that matches the CSS selector.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	run(tab, "click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// SetValue sets the value of the first matching form field and lets the page
// know as if a user had typed it.
func (tab *Tab) SetValue(selector, value string) {
	tab.t.Helper()
	notify := fmt.Sprintf(`(() => {
		const field = document.querySelector(%s);
		field.dispatchEvent(new Event('input', {bubbles: true}));
		field.dispatchEvent(new Event('change', {bubbles: true}));
	})()`, quote(selector))
	run(tab, "set "+selector, chromedp.SetValue(chromedp.CSS(selector), value))
	tab.Eval(notify, nil)
}

// Resize makes the visible part of the page so many pixels wide and high.
func (tab *Tab) Resize(width, height int) {
	tab.t.Helper()
	run(tab, "resize", chromedp.EmulateViewport(int64(width), int64(height)))
}

// Screenshot writes a picture of the visible part of the page to file, as PNG.
func (tab *Tab) Screenshot(file string) {
	tab.t.Helper()
	png := run(tab, "take a screenshot", chromedp.CaptureScreenshot())
	if err := os.WriteFile(file, png, 0o644); err != nil {
		tab.t.Fatal(err)
	}
}

// LocalStorage returns the entry of the page's origin under key, and whether
// there is one.
func (tab *Tab) LocalStorage(key string) (value string, ok bool) {
	tab.t.Helper()
	var item *string
	tab.Eval(fmt.Sprintf("localStorage.getItem(%s)", quote(key)), &item)
	if item == nil {
		return "", false
	}
	return *item, true
}

// SetLocalStorage stores value under key for the page's origin.
func (tab *Tab) SetLocalStorage(key, value string) {
	tab.t.Helper()
	tab.Eval(fmt.Sprintf("localStorage.setItem(%s, %s)", quote(key), quote(value)), nil)
}

// Errors returns what the tab has reported so far: calls of console.error,
// errors that the browser itself logged (such as a failed connection) and
// uncaught exceptions, in the order in which they happened.
func (tab *Tab) Errors() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return append([]string(nil), tab.errors...)
}

// WaitErrors waits until at least n errors have been collected and returns
// all. Errors reach the test on another path than results of Eval, so
// something that just happened in the page may still be under way.
func (tab *Tab) WaitErrors(n int) []string {
	tab.t.Helper()
	deadline := time.Now().Add(Timeout)
	for {
		got := tab.Errors()
		if len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			tab.t.Fatalf("waited for %d errors, got %q", n, got)
		}
		time.Sleep(pollInterval)
	}
}

func run[T any](tab *Tab, what string, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, Timeout)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatalf("%s: %v; errors of the page: %q", what, err, tab.Errors())
	}
	return result
}

func (tab *Tab) collect(event any) {
	var text string
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError {
			return
		}
		text = "console.error:"
		for _, arg := range e.Args {
			text += " " + describe(arg)
		}
	case *runtime.EventExceptionThrown:
		text = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + describe(e.ExceptionDetails.Exception)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level != log.EntryLevelError {
			return
		}
		text = "log: " + e.Entry.Text + " " + e.Entry.URL
	default:
		return
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.errors = append(tab.errors, text)
}

func describe(o *runtime.RemoteObject) string {
	if o.Description != "" {
		return o.Description
	}
	var s string
	if json.Unmarshal([]byte(o.Value), &s) == nil {
		return s
	}
	return string(o.Value)
}

// quote writes s as a JavaScript string literal.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(b)
}
