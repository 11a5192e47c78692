package main

import (
	"flag"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/socketcluster-go/socketcluster"
)

// limitPrefix is the prefix of the settings for fields of
// [socketcluster.Limits]: limits-message-size is Limits.MessageSize. They are
// derived from the type, so that none is left out.
const limitPrefix = "limits-"

// limitFields are the fields of [socketcluster.Limits].
var limitFields = reflect.VisibleFields(reflect.TypeFor[socketcluster.Limits]())

// limitSetting returns the name of the setting for a field.
func limitSetting(field string) string {
	var name strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			name.WriteByte('-')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return limitPrefix + name.String()
}

// limitSettings returns the settings of the config file.
func limitSettings() []fileSetting {
	var all []fileSetting
	for _, field := range limitFields {
		s := fileSetting{name: limitSetting(field.Name), form: "a whole number", field: "Limits." + field.Name, number: true}
		if field.Type == reflect.TypeFor[time.Duration]() {
			s.form, s.number = `a time such as "10s"`, false
		}
		all = append(all, s)
	}
	return all
}

// limitVars adds the flags for limits.
func limitVars(f *flag.FlagSet, l *socketcluster.Limits) {
	value := reflect.ValueOf(l).Elem()
	for _, field := range limitFields {
		name := limitSetting(field.Name)
		usage := fmt.Sprintf("`%%s` for Limits.%s; 0 for its default", field.Name)
		switch p := value.FieldByIndex(field.Index).Addr().Interface().(type) {
		case *int:
			intVar(f, p, name, noMax, fmt.Sprintf(usage, "number"))
		case *time.Duration:
			durationVar(f, p, name, 0, 0, fmt.Sprintf(usage, "time"))
		}
	}
}
