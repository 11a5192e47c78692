package revoke

// Target returns the claim by which a revocation finds tokens, and the value that they
// have in it. Two revocations with the same target are of the same token, session or
// user. A store may keep one for each, see [Revocation.Merge].
func (r Revocation) Target() (claim, value string) {
	switch {
	case r.JTI != "":
		return claimID, r.JTI
	case r.Session != "":
		return claimSession, r.Session
	case r.Claim != "":
		return r.Claim, r.Subject
	}
	return claimSubject, r.Subject
}

// Merge returns a revocation that revokes what r and other do, for as long as the longer
// of them. Both must have their normal form and the same target. The reason is that of
// other, if it has one.
//
// It may revoke more than the two by themselves: with the later Before of one until the
// later Until of the other.
func (r Revocation) Merge(other Revocation) Revocation {
	e := newEntry(&r)
	e.merge(newEntry(&other))
	return e.revocation()
}

// Covers reports whether other adds nothing to r: both have the same target, and r revokes
// what other does, for at least as long, and disconnects if other does. Both must have their
// normal form. Reasons do not count.
func (r Revocation) Covers(other Revocation) bool {
	claim, value := r.Target()
	otherClaim, otherValue := other.Target()
	return claim == otherClaim && value == otherValue &&
		(r.Before.IsZero() || !other.Before.IsZero() && !other.Before.After(r.Before)) &&
		(r.Until.IsZero() || !other.Until.IsZero() && !other.Until.After(r.Until)) &&
		(r.Disconnect || !other.Disconnect)
}
