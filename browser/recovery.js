// A codec engine for socketcluster-client that gets what was missed while the connection
// was away, from channels whose server keeps it:
//
//   create({codecEngine: recovery()})
//
// Each publication of such a channel has a position. The engine remembers the last one
// of each subscription, asks for what came after it when the client subscribes again,
// and drops what it has seen. An engine belongs to one socket.

// recovery returns an engine.
//
// codec is the engine that reads and writes the messages; by default they are
// JSON, with bytes as base64, as the client has it without an engine.
//
// last is the number of earlier publications to begin a subscription with, or a
// function that returns it for a channel.
//
// onLost is called with a channel, and from and to, the numbers of the first and the last
// publication that is gone and will not come; without them, it is not known what is.
export function recovery({codec = json, last = 0, onLost = () => {}} = {}) {
  const positions = new Map(); // by channel
  const pending = new Map(); // channels, by the ids of calls that subscribe

  function outgoing(packet) {
    const {event, cid, data} = packet ?? {};
    if (event === '#handshake') {
      pending.clear(); // those ids were of another connection
    } else if (event === '#unsubscribe') {
      positions.delete(data);
    } else if (event === '#subscribe' && cid !== undefined && typeof data?.channel === 'string') {
      pending.set(cid, data.channel);
      const known = positions.get(data.channel);
      if (known) return {...packet, data: {...data, since: known.text}};
      const count = typeof last === 'function' ? last(data.channel) : last;
      if (count > 0) return {...packet, data: {...data, last: count}};
    }
    return packet;
  }

  // incoming reports whether the client gets a packet.
  function incoming(packet) {
    const {event, rid, data, error} = packet ?? {};
    if (rid !== undefined && pending.has(rid)) {
      const channel = pending.get(rid);
      pending.delete(rid);
      const position = parse(data?.position);
      if (error || !position) {
        if (!error) positions.delete(channel); // nothing is kept any more
      } else {
        // What was missed has come before the answer.
        if (data.lost || newer(position, positions.get(channel))) positions.set(channel, position);
        if (data.lost) onLost(channel, data.lost.from, data.lost.to);
      }
    } else if (event === '#kickOut') {
      positions.delete(data?.channel);
    } else if (event === '#publish') {
      const position = parse(data?.position);
      if (!position) return true;
      if (!newer(position, positions.get(data.channel))) return false;
      positions.set(data.channel, position);
    }
    return true;
  }

  return {
    encode(object) {
      return codec.encode(Array.isArray(object) ? object.map(outgoing) : outgoing(object));
    },
    decode(message) {
      const object = codec.decode(message);
      if (Array.isArray(object)) return object.filter(incoming);
      return incoming(object) ? object : []; // a message with nothing in it
    },
  };
}

// parse returns the position in a text: of which history it is, and where in it.
function parse(text) {
  const found = typeof text === 'string' && /^([^.]+)\.([0-9a-z]+)\.[0-9a-z]+$/.exec(text);
  return found ? {text, epoch: found[1], number: found[2]} : undefined;
}

// newer compares positions. Their numbers may be too large for a Number.
function newer(position, known) {
  if (!known || position.epoch !== known.epoch) return true;
  const a = position.number, b = known.number;
  return a.length !== b.length ? a.length > b.length : a > b;
}

const json = {
  encode(object) {
    return JSON.stringify(object, function (key, value) {
      const raw = this[key]; // before toJSON
      if (!(raw instanceof ArrayBuffer || ArrayBuffer.isView(raw))) return value;
      const bytes = raw instanceof ArrayBuffer ? new Uint8Array(raw) : new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
      return {base64: true, data: btoa(Array.from(bytes, b => String.fromCharCode(b)).join(''))};
    });
  },
  decode(message) {
    if (message == null) return null;
    try {
      return JSON.parse(message);
    } catch {
      return message;
    }
  },
};
