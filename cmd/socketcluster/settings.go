package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/rules"
)

// The settings that several commands have.
const (
	configSetting      = "config"
	authKeySetting     = "auth-key"
	authKeyFileSetting = "auth-key-file"
	rulesSetting       = "rules"
	expirySetting      = "token-expiry"
	renewalSetting     = "token-renewal"
	proxiesSetting     = "trusted-proxies"
)

// fileSetting is a setting that the config file may have.
type fileSetting struct {
	name   string
	form   string // a description of valid values
	field  string // of socketcluster.Config, or "" for a setting of the command
	number bool   // it may be in the file without quotes
}

// fileSettings are the settings that the config file may have besides its
// rules. It must not contain a key, because people share config files.
var fileSettings = append([]fileSetting{
	{name: "addr", form: `a text such as ":8000"`},
	{name: "db", form: `a text such as "users.db"`},
	{name: "client-js", form: `a text such as "client.js"`},
	{name: authKeyFileSetting, form: `a text such as "auth.key"`},
	{name: expirySetting, form: `a time of 1s or more, such as "5m"`, field: "Auth.DefaultExpiry"},
	{name: "clock-tolerance", form: `a time from 0 to 1m, such as "5s"`, field: "Auth.ClockTolerance"},
	{name: renewalSetting, form: `a time such as "5m", or "0" for never`, field: "TokenRenewal.Every"},
	{name: "shutdown-timeout", form: `a time of 1s or more, such as "25s"`, field: "Timeouts.Shutdown"},
	{name: "drain-rate", form: "a whole number", field: "DrainRate", number: true},
	{name: proxiesSetting, form: `addresses or networks, such as "10.0.0.0/8, ::1"`, field: "TrustedProxies"},
	{name: "origins", form: `origins, such as "https://example.com, *:8000"`, field: "Origins"},
	{name: "allow-missing-origin", form: "true or false", field: "AllowMissingOrigin"},
	{name: "protocol1-path", form: `a path such as "/socketcluster-v1/"`, field: "Protocol1Path"},
	{name: "compression-level", form: "a whole number from 0 to 9", field: "Compression.Level", number: true},
	{name: "compression-threshold", form: "a whole number", field: "Compression.Threshold", number: true},
	{name: "handshake-timeout", form: `a time of 1ms or more, such as "10s"`, field: "Timeouts.Handshake"},
	{name: "ping-interval", form: `a time of 1ms or more, such as "8s"`, field: "Timeouts.PingInterval"},
	{name: "ping-timeout", form: `a time of 1ms or more, such as "30s"`, field: "Timeouts.Ping"},
	{name: "close-timeout", form: `a time of 1ms or more, such as "3s"`, field: "Timeouts.Close"},
	{name: "reauthorize-timeout", form: `a time of 1ms or more, such as "10s"`, field: "Timeouts.Reauthorize"},
	{name: "auth-max-age", form: `a time such as "24h", or "0" for any`, field: "AuthMaxAge"},
	{name: "token-after-answer", form: "true or false", field: "Compat.TokenAfterAnswer"},
	{name: "quiet", form: "true or false"},
}, limitSettings()...)

// settingOf finds a setting by its name.
func settingOf(name string) (s fileSetting, ok bool) {
	i := slices.IndexFunc(fileSettings, func(s fileSetting) bool { return s.name == name })
	if i < 0 {
		return s, false
	}
	return fileSettings[i], true
}

// formOf describes the valid values of a setting of the config file. It returns
// "" if there is no such setting.
func formOf(name string) string {
	s, _ := settingOf(name)
	return s.form
}

// named rewrites an error about a field of the server so that it names the
// setting.
func named(err error) error {
	bad, ok := errors.AsType[*socketcluster.ConfigError](err)
	if !ok {
		return err
	}
	if bad.Field == "Auth.Key" {
		return fmt.Errorf("the setting %s %s", authKeySetting, bad.Reason)
	}
	for _, s := range fileSettings {
		if s.field == bad.Field {
			return fmt.Errorf("the setting %s %s", s.name, bad.Reason)
		}
	}
	return err
}

// settings are the settings that several commands have.
type settings struct {
	configFile  string
	authKey     string
	authKeyFile string
	rulesFile   string
	configRules *rules.Set // of the config file, or nil
}

// usageError is an error that has been printed with the usage.
type usageError struct{ error }

// Unwrap lets errors.Is find flag.ErrHelp.
func (e usageError) Unwrap() error { return e.error }

// badUsage prints what is wrong with the arguments.
func badUsage(f *flag.FlagSet, err error) error {
	fmt.Fprintln(f.Output(), err)
	f.Usage()
	return usageError{err}
}

// newFlags makes the flags of a command. arguments describes the arguments
// after them.
func newFlags(name, arguments string, output io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("socketcluster "+name, flag.ContinueOnError)
	f.SetOutput(output)
	f.Usage = func() {
		fmt.Fprintf(output, "Usage of socketcluster %s:\n  socketcluster %[1]s [flags]%s\n", name, arguments)
		f.PrintDefaults()
	}
	return f
}

// define adds the flags that all commands have.
func (s *settings) define(f *flag.FlagSet) {
	f.StringVar(&s.configFile, configSetting, "", "TOML `file` with settings and channel rules")
	f.StringVar(&s.authKeyFile, authKeyFileSetting, "", "`file` with the key of tokens: a text of at least 32 bytes, PEM, a JWK or\na JWK Set. Or set $"+variable(authKeySetting)+" to the text")
}

// variable returns the name of a setting in the environment.
func variable(setting string) string {
	return "SOCKETCLUSTER_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// parse reads the arguments. It takes the settings that they do not contain
// from the environment, and then from the config file.
func (s *settings) parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return usageError{err}
	}
	given := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	if s.configFile == "" && !given[configSetting] {
		s.configFile = os.Getenv(variable(configSetting))
	}
	file := &config{}
	if s.configFile != "" {
		var err error
		if file, err = readConfig(s.configFile); err != nil {
			return err
		}
		s.configRules = file.rules
	}
	var err error
	f.VisitAll(func(fl *flag.Flag) {
		if !given[fl.Name] && err == nil {
			err = file.fill(fl)
		}
	})
	if err != nil {
		return err
	}
	return s.chooseKey(given, file)
}

// fill sets a flag that is not among the arguments.
func (c *config) fill(fl *flag.Flag) error {
	form := formOf(fl.Name)
	inFile := form != ""
	if fl.Name == authKeyFileSetting || !inFile && fl.Name != rulesSetting {
		return nil // see chooseKey; the others are not settings
	}
	if value := os.Getenv(variable(fl.Name)); value != "" {
		if err := fl.Value.Set(value); err != nil {
			return fmt.Errorf("$%s is %q: it must be %s", variable(fl.Name), value, form)
		}
		return nil
	}
	if value, ok := c.values[fl.Name]; inFile && ok {
		if err := fl.Value.Set(value.text); err != nil {
			return fmt.Errorf("%s:%d: %s is %q: it must be %s", c.path, value.line, fl.Name, value.text, form)
		}
	}
	return nil
}

// chooseKey takes the key or its file from one place: a file in the arguments
// does not conflict with a key in the environment.
func (s *settings) chooseKey(given map[string]bool, file *config) error {
	if given[authKeySetting] && given[authKeyFileSetting] {
		return errors.New("set -auth-key or -auth-key-file, not both")
	}
	if given[authKeySetting] || given[authKeyFileSetting] {
		return nil
	}
	s.authKey, s.authKeyFile = os.Getenv(variable(authKeySetting)), os.Getenv(variable(authKeyFileSetting))
	if s.authKey != "" && s.authKeyFile != "" {
		return fmt.Errorf("set $%s or $%s, not both", variable(authKeySetting), variable(authKeyFileSetting))
	}
	if s.authKey == "" && s.authKeyFile == "" {
		s.authKeyFile = file.values[authKeyFileSetting].text
	}
	return nil
}

// rules returns the channel rules that are set, or nil if there are none.
func (s *settings) rules() (*rules.Set, error) {
	if s.rulesFile == "" {
		return s.configRules, nil
	}
	text, err := os.ReadFile(s.rulesFile)
	if err != nil {
		return nil, err
	}
	set, err := rules.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.rulesFile, err)
	}
	return set, nil
}
