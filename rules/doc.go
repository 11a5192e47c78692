// Package rules decides who may use which channel by a list of rules instead
// of by code:
//
//	set, err := rules.New([]rules.Rule{
//		{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
//		{Channel: "user/{username}"},
//		{Channel: "room/*", In: "rooms"},
//		{In: "channels"},
//	}...)
//	srv.UseInbound(set.Middleware(nil))
//
// The rules only ever allow. An operation on a channel is allowed if at least
// one rule allows it, so that their order does not matter; what no rule allows
// is denied. A set without rules denies everything.
//
// # Operations
//
// Subscribe, Publish and Presence of a [Rule] tell who may do what on the
// channels that it is for. Those that are left out are nobody's. A rule that
// leaves all three out gives all three to whoever has a token.
//
// The server has no presence yet. [Set.Decide] and [Set.Check] answer for it, and
// nothing asks them.
//
// # Patterns
//
// Channel is a pattern. It is compared with the whole name of a channel, byte
// for byte. Two things in it stand for something else:
//
//   - {name} stands for the value of that claim in the client's token, a string
//     or a whole number. It may occur often.
//   - * stands for any text. It may occur once. If In names a claim, the text
//     must be the value of that claim or, if it is an array, one of its values.
//
// Without Channel, the pattern is *, so that {In: "channels"} allows exactly the
// channels that the token lists.
//
// Neither stands for nothing, and neither stands for text with a separator of
// its own pattern in it. Separators are the characters of the pattern's
// remaining text other than letters, digits, - and _. Thus room/* is not for
// room/a/b, and who registers as "alice/inbox" does not get user/alice/inbox
// by user/{username}. It also means that user.{email} is for no address with a
// dot; user/{email} is. In a pattern without separators, such as room-* or *,
// they stand for any text but the empty one.
//
// There must be a separator between any two of them. [New] refuses team-{team}-*
// and {tenant}-{user}: by the first, team a would get team-a-b-secret, which is
// of team a-b, and by the second, user eu-bob of acme and user bob of acme-eu
// would share acme-eu-bob. Write team/{team}/* and {tenant}/{user}. So no name
// fits one pattern with two different sets of values.
//
// The same goes for two rules of a set. [New] refuses user/{username} beside
// user/{username}-admin: user/bob-admin would belong to bob-admin and, as the
// administrators' channel, to bob. Write user/{username}/admin. A claim that lists whole
// names, as in {In: "channels"}, is beside the others.
//
// Different claims may stand for the same part of a name. team/{team} and team/{guest}
// together give team/red to who has red in either claim, as is meant there. New cannot
// tell it from user/{username} beside user/{id}, by which the user with the id 42 and
// whoever registers the name 42 share user/42. Take two claims at one place only if their
// values name the same things; else write user/name/{username} and user/id/{id}.
//
// Text in a pattern is no secret and no reserved word: beside user/news, which is for
// everybody, the owner of user/{username} with the name news has that channel
// too. Let nobody choose such a name.
//
// The values of claims are text and never patterns, whatever characters are in
// them. A claim that is missing, or is neither a string nor a whole number, or
// for In an array with such values, fits nothing. Whole numbers are those that
// are written with digits alone, as 42 and -7 and unlike 4.2e1; they are compared
// as they are written. Strings and numbers are not told apart.
//
// Channels whose name has *, { or } in it cannot be named by a pattern. A claim
// can name them.
//
// # Concurrency, blocking and cost
//
// A [Set] never changes and is safe for concurrent use. Nothing blocks. A
// decision takes time linear in the number of rules and in the sizes of the
// name and of the token, and reads the token at most once.
//
// # Constants
//
// The names SubscribeError and PublishError and the text of the errors are those
// of the SocketCluster guide's examples. How many denials are logged at level
// Info in a second is this package's own.
package rules
