package main

import (
	"context"
	"log/slog"
	"strings"
)

// settingNames is a log of package cluster that names settings where its messages name
// fields of options.
type settingNames struct{ slog.Handler }

// Handle implements slog.Handler.
func (h settingNames) Handle(ctx context.Context, r slog.Record) error {
	r.Message = clusterField.ReplaceAllStringFunc(r.Message, clusterSetting)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h settingNames) WithAttrs(attrs []slog.Attr) slog.Handler {
	return settingNames{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h settingNames) WithGroup(name string) slog.Handler {
	return settingNames{h.Handler.WithGroup(name)}
}

// clusterSetting returns the setting of a field such as Options.Name.
func clusterSetting(field string) string {
	return clusterFields[field[strings.LastIndexByte(field, '.')+1:]]
}
