// Package nginx holds the configuration of nginx that the documentation shows, and
// tests it with a real one.
package nginx
