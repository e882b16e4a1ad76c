// Where the TCP and UDP sessions of a client go, and from which port its datagrams leave.
//
// Rendezvous hashing over the instances' numbers: every router picks the same instance for a
// client's address, for TCP and for UDP, whatever the instances' addresses and release. One that
// comes or goes moves only the clients that it gets or had.
// https://en.wikipedia.org/wiki/Rendezvous_hashing
//
// And a client with an open TCP connection stays where that is, with all that it opens beside it:
// an instance that comes must not take the UDP of a call away. What is remembered (zones of
// stream.conf) outlives reloads, and losing it costs no more than that.

import crypto from 'crypto';

// Between parts that are hashed or remembered together: part of none of them.
const SEPARATOR = '/';

// Ports that datagrams leave from: below those that docker and the kernel give away.
const FIRST_PORT = 16384;
const PORTS = 16384;
// So many are tried for one client. All taken: never seen before the range is half full.
const TRIES = 16;

function hash(...parts) {
    return crypto.createHash('sha256').update(parts.join(SEPARATOR)).digest('hex');
}

// Under what the open TCP connections of a client to an instance are counted.
function callKey(session, instance) {
    return [session.variables.service, session.remoteAddress, instance].join(SEPARATOR);
}

// The numbers of all instances (the port's $instances), the client's favourite first.
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

// As in the names of the upstreams: "2", and "2-1" with the instance to fall over to.
function firstChoice(session) {
    return ranked(session)[0];
}

function twoChoices(session) {
    return ranked(session).slice(0, 2).join('-');
}

// A TCP connection begins.
function begin(session) {
    session.variables.instance = firstChoice(session);
    ngx.shared.calls.incr(callKey(session, session.variables.instance), 1, 0);
    session.allow();
}

// It has ended: asked for by the log, which is written last. Returns the connections that are left.
function end(session) {
    const key = callKey(session, session.variables.instance);
    if (!(ngx.shared.calls.get(key) > 0)) {
        return '0';  // forgotten, after a day or for want of space
    }
    return String(ngx.shared.calls.incr(key, -1));
}

// The address and port from which a client's datagrams go to its instance.
//
// A voice server knows a caller by the address and port of the first datagram, for as long as the
// call lasts. So every worker of every reload must send from the same port, and no two clients
// from one, although they may use the same port themselves. (nginx binds with SO_REUSEADDR: the
// sockets of an old worker and of a new one coexist, and the newest gets the answers.)
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
        return address;  // any port; the next reload may silence this one call
    }
    ngx.shared.sources.set(keys[found], client);  // remembered from now on
    return address + ':' + found;
}

export default {firstChoice, twoChoices, begin, end, source};
