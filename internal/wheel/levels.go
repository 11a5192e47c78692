package wheel

import "math/bits"

const (
	slotBits  = 6
	slots     = 1 << slotBits
	slotMask  = slots - 1
	levels    = 7
	noList    = listID(0)
	dueList   = listID(1)
	slotLists = 2 // id of the list of level 0, slot 0
)

// levelSet has the timers by due tick, relative to a current tick that only
// grows.
//
// A timer sits on the level of the highest 6-bit digit in which its due tick
// differs from the current one, in the slot of that digit. It follows that all
// slots in use on a level are ahead of the current digit, and within the
// current slot of the level above. So the first slot of the lowest level in use
// is the next event.
type levelSet struct {
	current tick
	used    [levels]uint64
	heads   [slotLists + levels*slots]*Timer // by listID
	count   int                              // timers in all lists
}

func (s *levelSet) link(t *Timer, id listID) {
	head := s.heads[id]
	t.setList(id)
	t.prev, t.next = nil, head
	if head != nil {
		head.prev = t
	}
	s.heads[id] = t
	s.count++
	if id >= slotLists {
		i := int(id - slotLists)
		s.used[i>>slotBits] |= 1 << (i & slotMask)
	}
}

func (s *levelSet) unlink(t *Timer) {
	id := t.list()
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		s.heads[id] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.setList(noList)
	t.prev, t.next = nil, nil
	s.count--
	if id >= slotLists && s.heads[id] == nil {
		i := int(id - slotLists)
		s.used[i>>slotBits] &^= 1 << (i & slotMask)
	}
}

// place links a timer by its due tick, which must not be before the current
// one.
func (s *levelSet) place(t *Timer) {
	if t.due() == s.current {
		s.link(t, dueList)
		return
	}
	level := (bits.Len64(uint64(t.due()^s.current)) - 1) / slotBits
	slot := int(t.due()>>(level*slotBits)) & slotMask
	s.link(t, listID(slotLists+level*slots+slot))
}

// next returns the tick of the next event and its list: a slot whose timers
// become due or move to finer levels.
func (s *levelSet) next() (at tick, id listID, ok bool) {
	for level, used := range s.used {
		if used == 0 {
			continue
		}
		slot := bits.TrailingZeros64(used)
		shift := level * slotBits
		above := s.current >> (shift + slotBits) << (shift + slotBits)
		return above | tick(slot)<<shift, listID(slotLists + level*slots + slot), true
	}
	return 0, noList, false
}

// advance moves the current tick up to to, but stops at the first event that
// makes timers due. It reports whether it stopped there.
func (s *levelSet) advance(to tick) bool {
	for s.heads[dueList] == nil {
		at, id, ok := s.next()
		if !ok || at > to {
			s.current = max(s.current, to)
			return false
		}
		s.current = at
		for t := s.heads[id]; t != nil; t = s.heads[id] {
			s.unlink(t)
			s.place(t)
		}
	}
	return true
}
