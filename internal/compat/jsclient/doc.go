// Package jsclient runs the stock JavaScript client against a server in the
// same test process, so that a test sees both ends.
//
// Each test starts one Node.js process, js/driver.mjs, and sends it the steps
// of its clients over its standard input. Steps are answered in any order; a
// step that is not answered within hangLimit fails the test. No test asserts on
// elapsed time: where something must not happen, another event that comes later
// for certain is awaited first.
//
// The guide on authentication is covered row by row by TestRow01 to TestRow10.
// Its samples are in js/guide.mjs and guide_test.go, and shown by the
// project's documentation for those who port an application.
//
// The tests in upstream_test.go and migration_test.go put the server behind
// socketcluster-server in a process of its own, which some of them kill.
//
// TestSameIdentity and TestLoginPages run js/identity.mjs in Node.js and in a page in
// Chromium, many times, as what they look for depends on which frames a client
// reads in one turn of its loop. IDENTITY_TRIES in the environment says how often.
package jsclient
