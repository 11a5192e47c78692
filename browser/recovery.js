// A codec engine for socketcluster-client that gets what was missed while the connection
// was away, from channels whose server keeps it:
//
//   create({codecEngine: recovery()})
//
// Each publication of such a channel has a position. The engine remembers that of the last
// one that the client has read in each subscription, asks for what came after it when
// the client subscribes again, and drops what it has read. An engine belongs to one socket.
// It sees only what is sent: a channel that is left while there is no connection, and wanted
// again later, continues where it was.

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
  // What they were at the first call that has no answer yet, also on an earlier connection. What is lost is in the answer, behind
  // what is not: if it does not come, the next call asks from there, and what the client has read is dropped.
  const unanswered = new Map();
  const pending = new Map(); // calls that subscribe, by their ids: the channel, and its position then

  function outgoing(packet) {
    const {event, cid, data} = packet ?? {};
    if (event === '#handshake') {
      pending.clear(); // those ids were of another connection
    } else if (event === '#unsubscribe') {
      forget(data);
    } else if (event === '#subscribe' && cid !== undefined && typeof data?.channel === 'string') {
      const {channel} = data, asked = unanswered.get(channel) ?? positions.get(channel);
      if (asked) unanswered.set(channel, asked);
      pending.set(cid, {channel, asked});
      if (asked) return {...packet, data: {...data, since: asked.text}};
      const count = typeof last === 'function' ? last(channel) : last;
      if (count > 0) return {...packet, data: {...data, last: count}};
    }
    return packet;
  }

  // incoming returns what the client gets of a packet, undefined for nothing. A client that
  // has disconnected may still decode packets and drop them, so what counts is what
  // it reads of them.
  function incoming(packet) {
    const {event, rid, data} = packet ?? {};
    if (rid !== undefined && pending.has(rid)) {
      if (!packet.error) return whenRead(packet, 'data', () => answered(packet));
      pending.delete(rid);
    }
    if (event === '#kickOut' && data) {
      return {...packet, data: whenRead(data, 'channel', () => forget(data.channel))};
    }
    if (event === '#lost' && data) return told(data);
    const position = event === '#publish' && parse(data?.position);
    if (!position) return packet;
    if (!newer(position, positions.get(data.channel))) return undefined;
    return {...packet, data: whenRead(data, 'data', () => advance(data.channel, position))};
  }

  // told returns a publication on no channel, of which the client reads just that.
  function told({channel, position, lost}) {
    const data = whenRead({channel: null}, 'channel', () => {
      const known = parse(position);
      if (known) positions.set(channel, known);
      onLost(channel, lost?.from, lost?.to);
    });
    return {event: '#publish', data};
  }

  function forget(channel) {
    positions.delete(channel);
    unanswered.delete(channel);
  }

  function advance(channel, position) {
    if (newer(position, positions.get(channel))) positions.set(channel, position);
  }

  function answered({rid, data}) {
    if (!pending.has(rid)) return;
    const {channel, asked} = pending.get(rid);
    pending.delete(rid);
    unanswered.delete(channel);
    const position = parse(data?.position);
    if (!position) {
      positions.delete(channel); // nothing is kept any more
      return;
    }
    // What was missed has come before the answer, and so may have what was published meanwhile.
    if (data.lost && positions.get(channel) === asked) positions.set(channel, position);
    else advance(channel, position);
    if (data.lost) onLost(channel, data.lost.from, data.lost.to);
  }

  return {
    encode(object) {
      return codec.encode(Array.isArray(object) ? object.map(outgoing) : outgoing(object));
    },
    decode(message) {
      const object = codec.decode(message);
      if (Array.isArray(object)) return object.map(incoming).filter(packet => packet !== undefined);
      return incoming(object) ?? (object == null ? object : []); // a message with nothing in it
    },
  };
}

// whenRead returns a copy of an object that calls read when a property of it is read.
function whenRead(object, name, read) {
  const get = () => {
    read();
    return object[name];
  };
  return Object.defineProperty({...object}, name, {get, enumerable: true});
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
