// Package browsertest drives a headless Chromium for tests that need a real
// browser: its WebSocket, its localStorage, its tabs.
//
// Start makes a browser with a fresh profile; the tabs of one Browser share
// that profile, and with it localStorage per origin. All browsers of a test
// binary are in one process, which Main ends. Each call on a Tab blocks
// until the browser has done it, at most Timeout, and ends the test when it
// fails, so calls must come from the goroutine of the test. What a page
// reports to its console as an error, and every exception that it does not
// catch, is collected per tab and handed out by Errors.
//
// The browser is the CHROMIUM environment variable or the first of chromium,
// chromium-browser and google-chrome on PATH.
package browsertest
