package socketcluster

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// originList is Config.Origins as a set. A nil list admits every origin.
type originList map[string]bool

const anyOrigin = "*:*"

// parseOrigins checks the entries and turns them into a set. Hosts compare
// without case, so they are kept in lower case.
func parseOrigins(entries []string) (originList, error) {
	list := make(originList, len(entries))
	for _, e := range entries {
		host, port, ok := cutPort(e)
		if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
			host = host[1 : len(host)-1]
		}
		if !ok || !validPart(host) || !validPart(port) || !validPort(port) {
			return nil, &ConfigError{"Origins", fmt.Sprintf(`has the entry %q; each must be "host:port", and either part may be "*"`, e)}
		}
		list[strings.ToLower(host)+":"+port] = true
	}
	if len(list) == 0 || list[anyOrigin] {
		return nil, nil
	}
	return list, nil
}

// validPart refuses entries that no origin would ever match.
func validPart(s string) bool {
	return s == "*" || s != "" && !strings.ContainsAny(s, "*/@,[] \t")
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "*" || err == nil && n > 0 && s[0] != '0'
}

// cutPort splits at the last colon, so that an IPv6 host needs no brackets.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// admits tells whether a request may be upgraded, going by its Origin header.
func (l originList) admits(r *http.Request, allowMissing bool) bool {
	if l == nil {
		return true
	}
	values := r.Header["Origin"]
	if len(values) == 0 {
		return allowMissing
	}
	if len(values) > 1 {
		return false
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Host == "" {
		return false
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return l[host+":"+port] || l[host+":*"] || l["*:"+port]
}
