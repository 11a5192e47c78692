// Diary notes the events that a client has emitted and the messages that it
// has received, in their order.
export class Diary {
  constructor() {
    this.diary = [];
    this.messages = [];
    this.byEvent = new Map(); // payloads that nobody has waited for yet
    this.waiting = new Map(); // resolve functions by event
  }

  note(event, data) {
    if (event === 'message') {
      this.messages.push(data.message);
    } else {
      this.diary.push(event);
    }
    const resolve = this.waiting.get(event)?.shift();
    if (resolve) {
      resolve(data);
    } else {
      this.byEvent.set(event, [...this.byEvent.get(event) ?? [], data]);
    }
  }

  // wait gives each event to one caller, also one that comes after the event.
  wait(event) {
    const seen = this.byEvent.get(event) ?? [];
    if (seen.length > 0) return Promise.resolve(seen.shift());
    return new Promise(resolve => this.waiting.set(event, [...this.waiting.get(event) ?? [], resolve]));
  }
}
