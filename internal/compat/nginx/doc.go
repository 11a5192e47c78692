// Package nginx holds the configuration of nginx that the documentation shows, and
// tests it with a real one. A [Site] runs it for other tests too.
package nginx
