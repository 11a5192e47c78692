// Package copies tests that the examples can be copied out of this repository.
package copies
