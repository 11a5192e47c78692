//go:build !linux

package main

func mount(string) bool { return false }

func unmount(string) {}
