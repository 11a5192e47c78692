// Package rules decides who may use which channel. The rules are a list, not
// code:
//
//	set, err := rules.New([]rules.Rule{
//		{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
//		{Channel: "user/{username}"},
//		{Channel: "room/*", In: "rooms"},
//		{In: "channels"},
//	}...)
//	srv.UseInbound(set.Middleware(nil))
//
// Rules only allow. An operation on a channel is allowed if at least one rule
// allows it, so the order of the rules does not matter. Everything else is
// denied. A set without rules denies everything.
//
// # Operations
//
// The fields Subscribe, Publish and Presence of a [Rule] state who may do what
// on its channels. An operation whose field is left out is allowed to nobody. A
// rule that leaves out all three allows all three to everybody with a token.
//
// Presence decides who may subscribe to the joins and leaves of a channel, whose
// name is presence/ and that of the channel ([socketcluster.PresenceChannel]):
// not Subscribe, and no rule for that name. For questions who is there, give
// [Set.MaySee] to package cluster.
//
// # Patterns
//
// Channel is a pattern. It is compared with the whole name of a channel, byte
// by byte. It may contain two kinds of placeholders:
//
//   - {name} stands for the value of that claim in the client's token, a string
//     or a whole number. It may occur any number of times.
//   - * stands for any text. It may occur once. If In names a claim, the text
//     must be the value of that claim or, if the claim is an array, one of its
//     values.
//
// Without Channel, the pattern is *, so {In: "channels"} allows exactly the
// channels that the token lists.
//
// Neither stands for the empty text, and neither stands for text that contains
// a separator of its pattern. Separators are the characters of the pattern's
// literal text other than letters, digits, - and _. Thus room/* does not match
// room/a/b, and somebody who registers as "alice/inbox" does not get
// user/alice/inbox by user/{username}. It also means that user.{email} matches
// no address with a dot; user/{email} does. In a pattern without separators,
// such as room-* or *, placeholders stand for any text except the empty one.
//
// There must be a separator between any two placeholders. [New] refuses
// team-{team}-* and {tenant}-{user}: by the first, team a would get
// team-a-b-secret, which belongs to team a-b, and by the second, user eu-bob of
// acme and user bob of acme-eu would share acme-eu-bob. Write team/{team}/* and
// {tenant}/{user}. So no name matches one pattern with two different sets of
// values.
//
// The same holds for two rules of a set. [New] refuses user/{username} together
// with user/{username}-admin: user/bob-admin would belong to bob-admin and, as
// the administrators' channel, to bob. Write user/{username}/admin. A claim
// that lists whole names, as in {In: "channels"}, does not conflict with other
// rules.
//
// Different claims may stand for the same part of a name. team/{team} and
// team/{guest} together give team/red to everybody with red in either claim,
// which is intended. New cannot distinguish this from user/{username} together
// with user/{id}, by which the user with the ID 42 and whoever registers the
// name 42 share user/42. Use two claims in one place only if their values name
// the same things. Otherwise write user/name/{username} and user/id/{id}.
//
// Literal text in a pattern does not reserve a name: if user/news is for
// everybody, a user with the name news gets that channel by user/{username}
// too. Do not let anybody choose such a name.
//
// The values of claims are text and never patterns, whatever characters are in
// them. A claim matches nothing if it is missing, or if it is neither a string,
// nor a whole number, nor (for In) an array of these. Whole numbers are written
// with digits alone, like 42 and -7 and unlike 4.2e1; they are compared as they
// are written. Strings and numbers are not distinguished.
//
// A pattern cannot name a channel whose name contains *, { or }. A claim can.
//
// # Concurrency, blocking and cost
//
// A [Set] is immutable and safe for concurrent use. Nothing blocks. A decision
// takes time linear in the number of rules and in the sizes of the name and of
// the token, and reads the token at most once.
//
// # Constants
//
// The names SubscribeError and PublishError and the text of the errors come
// from the examples of the SocketCluster guide. The number of denials that are
// logged at level Info in a second is this package's own.
package rules
