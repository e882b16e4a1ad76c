"""A stand-in for the pulumi-command 1.2.1 plugin, for machines that do not have the real one.

`remote.Command`, all that the program uses, with the real plugin's inputs, diffs, retries, messages
and error texts, so that a program that works here works with the real one. The package's other
resources and functions are refused by name. Where the real plugin misbehaves this one does, too,
with these exceptions, which only ever make a problem easier to see:

* A host that accepts TCP and never finishes the SSH handshake hangs the real plugin forever. Here
  the operation ends at its timeout or at Ctrl-C, with an error that says so. It is never retried.
* An output line over 64 KiB hangs the real plugin forever unless `logging` is none. Here the
  command fails, and the error says so.
* A running remote command ignores timeouts and Ctrl-C, as in the real plugin; but a warning says
  so, once the operation's time is up.
* SSH connections are closed after their command. The real plugin keeps those of `remote.Command`
  open until it exits, so that many commands on one host can meet sshd's limits only there.
* Private keys that are encrypted in OpenSSH's own format need the Python package bcrypt.
* The schema is empty: it serves programs whose SDK is installed, not SDK generation.
"""
