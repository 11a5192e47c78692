package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/cluster"
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
)

// settingsHelp is a part of the help of commands that have settings.
const settingsHelp = "A setting may be a flag such as --token-expiry, a variable such as SOCKETCLUSTER_TOKEN_EXPIRY, or\n" +
	"token-expiry in the file of --config. The flag wins, then the variable, then the file."

// flagsOnly are the flags of serve that the config file does not have. It must
// not contain a key, because people share config files.
var flagsOnly = []string{configSetting, authKeySetting, rulesSetting}

// fileFlags returns the settings that the config file may have besides its
// rules: the flags of serve, of which other commands have some.
func fileFlags() *pflag.FlagSet {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, group := range new(options).groups() {
		group.VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(flagsOnly, f.Name) {
				all.AddFlag(f)
			}
		})
	}
	return all
}

// settings are the settings that several commands have.
type settings struct {
	configFile  string
	authKey     string
	authKeyFile string
	rulesFile   string
	configRules *rules.Set // of the config file, or nil
	history     []cluster.HistoryRule
	places      map[string]string // where the settings are that are not among the arguments
}

func (s *settings) defineConfig(f flagGroup) {
	f.StringVar(&s.configFile, configSetting, "", "TOML `file` with settings and channel rules")
}

func (s *settings) defineKeyFile(f flagGroup) {
	f.StringVar(&s.authKeyFile, authKeyFileSetting, "", "`file` with the key of tokens: a text of at least 32 bytes, PEM, a JWK or a JWK Set; or set $"+variable(authKeySetting)+" to the text")
}

// variable returns the name of a setting in the environment.
func variable(setting string) string {
	return "SOCKETCLUSTER_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// load takes the settings that are not among the arguments from the
// environment, and then from the config file.
func (s *settings) load(f *pflag.FlagSet) error {
	if s.configFile == "" && !f.Changed(configSetting) {
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
	s.places = make(map[string]string)
	if s.history = file.history; s.history != nil {
		s.places[historyKey] = file.historyPlace
	}
	known, err := fileFlags(), error(nil)
	f.VisitAll(func(flag *pflag.Flag) {
		isSetting := known.Lookup(flag.Name) != nil && flag.Name != authKeyFileSetting || flag.Name == rulesSetting
		if !isSetting || flag.Changed || err != nil {
			return
		}
		value := configValue{os.Getenv(variable(flag.Name)), "$" + variable(flag.Name)}
		if value.text == "" {
			value = file.values[flag.Name]
		}
		if value.place == "" {
			return
		}
		s.places[flag.Name] = value.place
		if flag.Value.Set(value.text) != nil {
			err = fmt.Errorf("%s: %s is %q; it must be %s", value.place, flag.Name, value.text, formOf(flag))
		}
	})
	if err != nil {
		return err
	}
	return s.chooseKey(f, file)
}

// named rewrites an error about a field of the server so that it names the
// setting, and its place.
func (s *settings) named(err error) error {
	bad, ok := errors.AsType[*socketcluster.ConfigError](err)
	if !ok || settingOf(bad.Field) == "" {
		return err
	}
	return s.placed(settingOf(bad.Field), fmt.Errorf("the setting %s %s", settingOf(bad.Field), bad.Reason))
}

// placed adds to an error where a setting is, unless that is among the arguments.
func (s *settings) placed(name string, err error) error {
	if place := s.places[name]; place != "" {
		return fmt.Errorf("%s: %w", place, err)
	}
	return err
}

// chooseKey takes the key or its file from one place: a file in the arguments
// does not conflict with a key in the environment.
func (s *settings) chooseKey(f *pflag.FlagSet, file *config) error {
	if f.Changed(authKeySetting) && f.Changed(authKeyFileSetting) {
		return fmt.Errorf("set --%s or --%s, not both", authKeySetting, authKeyFileSetting)
	}
	if f.Changed(authKeySetting) || f.Changed(authKeyFileSetting) {
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

// rules returns the channel rules that are set, or those of the demo.
func (s *settings) rules() (set *rules.Set, demo bool, err error) {
	switch {
	case s.rulesFile != "":
		text, err := os.ReadFile(s.rulesFile)
		if err != nil {
			return nil, false, err
		}
		if set, err = rules.Parse(text); err != nil {
			return nil, false, fmt.Errorf("%s: %w", s.rulesFile, err)
		}
		return set, false, nil
	case s.configRules != nil:
		return s.configRules, false, nil
	}
	return demoRules, true, nil
}
