// Picks the instance for a client's TCP and UDP sessions, and the port that its datagrams leave from.
//
// Rendezvous hashing over the instances' numbers: every router picks the same instance for a
// client's address, for TCP and UDP, whatever the instances' addresses and release. If an instance
// starts or is lost, only its own clients move.
// https://en.wikipedia.org/wiki/Rendezvous_hashing
//
// A client with an open TCP connection keeps that connection's instance for all its sessions, so a
// newly started instance never takes over the UDP of a call. The memory for this (the zones of
// stream.conf) outlives reloads. If an entry is lost, the client may move.

import crypto from 'crypto';

// Joins the parts of a key; no part contains it.
const SEPARATOR = '/';

// The ports that datagrams leave from, below the ranges of docker and the kernel.
const FIRST_PORT = 16384;
const PORTS = 16384;
// How many ports are tried for one client. All are taken only if the range is more than half full.
const TRIES = 16;

function hash(...parts) {
    return crypto.createHash('sha256').update(parts.join(SEPARATOR)).digest('hex');
}

// The key of the counter of a client's open TCP connections to an instance.
function callKey(session, instance) {
    return [session.variables.service, session.remoteAddress, instance].join(SEPARATOR);
}

// The numbers of all instances (the port's $instances), best choice first.
function ranked(session) {
    return session.variables.instances.split(' ')
        .map(instance => ({
            instance,
            isCalled: ngx.shared.calls.get(callKey(session, instance)) > 0,
            weight: hash(session.remoteAddress, instance),
        }))
        .sort((a, b) => (b.isCalled - a.isCalled) || (a.weight < b.weight ? 1 : -1))
        .map(one => one.instance);
}

// As in the names of the upstreams: "2", or "2-1" with the second choice.
function firstChoice(session) {
    return ranked(session)[0];
}

function twoChoices(session) {
    return ranked(session).slice(0, 2).join('-');
}

// Called when a TCP connection begins.
function begin(session) {
    session.variables.instance = firstChoice(session);
    ngx.shared.calls.incr(callKey(session, session.variables.instance), 1, 0);
    session.allow();
}

// Called when a TCP connection has ended, by the log format. Returns the connections that are left.
function end(session) {
    const key = callKey(session, session.variables.instance);
    if (!(ngx.shared.calls.get(key) > 0)) {
        return '0';  // the entry has expired (after a day), or gave way to newer ones
    }
    return String(ngx.shared.calls.incr(key, -1));
}

// The address and port from which a client's datagrams go to its instance.
//
// A voice server identifies a caller by the address and port of the first datagram, for the whole
// call. So all workers, also after a reload, must send a client's datagrams from the same port, and
// no other client may share that port. (nginx binds with SO_REUSEADDR: sockets of an old and a new
// worker coexist, and the newest gets the answers.)
function source(session) {
    const address = session.variables.server_addr;
    const client = session.remoteAddress + ':' + session.variables.remote_port;
    const instance = [session.variables.service, session.variables.server_port,
        firstChoice(session)].join(SEPARATOR);
    const start = parseInt(hash(client).slice(0, 8), 16);
    const keys = {};
    for (let n = 0; n < TRIES; n++) {
        const port = FIRST_PORT + (start + n) % PORTS;
        keys[port] = [instance, port].join(SEPARATOR);
    }
    const ports = Object.keys(keys);
    const found = ports.find(port => ngx.shared.sources.get(keys[port]) === client)
        || ports.find(port => ngx.shared.sources.add(keys[port], client));
    if (!found) {
        return address;  // any port; the next reload may silence this call
    }
    ngx.shared.sources.set(keys[found], client);  // extends the life of the entry
    return address + ':' + found;
}

export default {firstChoice, twoChoices, begin, end, source};
