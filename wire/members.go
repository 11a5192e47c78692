package wire

// indexFrom is the number of members from which a map is used to find repeated
// names, so that hostile objects do not cost quadratic time. With fewer
// members, comparing is faster.
const indexFrom = 8

// members is a JSON object under construction: each name once, in the order of
// first appearance, with its last value, as JSON.parse builds it.
type members struct {
	list  []member
	index map[string]int
}

type member struct {
	name  []byte // unescaped; lone surrogates are U+FFFD
	value []byte // raw JSON
}

// set adds a member, or replaces the value of the one with the same name.
func (m *members) set(literal, value []byte) {
	name := unquoteLenient(literal)
	if i, ok := m.find(name); ok {
		m.list[i].value = value
		return
	}
	m.list = append(m.list, member{name, value})
	switch n := len(m.list); {
	case n == indexFrom:
		m.index = make(map[string]int, 2*indexFrom)
		for i, e := range m.list {
			m.index[string(e.name)] = i
		}
	case n > indexFrom:
		m.index[string(name)] = n - 1
	}
}

func (m *members) find(name []byte) (int, bool) {
	if m.index != nil {
		i, ok := m.index[string(name)]
		return i, ok
	}
	for i, e := range m.list {
		if string(e.name) == string(name) {
			return i, true
		}
	}
	return 0, false
}

// appendObject appends the object as JSON.
func (m *members) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	for i, e := range m.list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, string(e.name))
		dst = append(dst, ':')
		dst = append(dst, e.value...)
	}
	return append(dst, '}')
}
