// Picks the instances of a TCP or UDP session by the client's address: rendezvous hashing over the
// instances' numbers. https://en.wikipedia.org/wiki/Rendezvous_hashing
//
// Every router picks the same, for TCP and for UDP, whatever the addresses and the release. An
// instance that comes or goes moves only the clients that it gets or had.

import crypto from 'crypto';

// Between an address and a number that are hashed together: part of neither.
const SEPARATOR = '/';

// How much this client prefers an instance.
function weight(client, instance) {
    return crypto.createHash('sha256').update(client + SEPARATOR + instance).digest('hex');
}

// The numbers of all instances (the port's $instances), the client's favourite first.
function ranked(session) {
    const client = session.remoteAddress;
    return session.variables.instances.split(' ')
        .map(instance => ({instance, weight: weight(client, instance)}))
        .sort((a, b) => (a.weight < b.weight ? 1 : -1))
        .map(one => one.instance);
}

// As in the names of the upstreams: "2", and "2-1" with the instance to fall over to.
function firstChoice(session) {
    return ranked(session)[0];
}

function twoChoices(session) {
    return ranked(session).slice(0, 2).join('-');
}

export default {firstChoice, twoChoices};
