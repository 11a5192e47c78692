// Package nginx has the nginx configuration from the documentation, and tests
// it with a real nginx. A [Site] runs it for other tests too.
package nginx
