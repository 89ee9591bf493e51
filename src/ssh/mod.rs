//! The SSH client: connections with deadlines, host keys that are pinned, terminals, commands and files. Level 1: knows
//! `model` only; keys come from and go to whoever asks for the connection.
