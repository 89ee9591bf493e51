//! A terminal without a window: bytes in, cells and replies out. No I/O, no clock. Level 0: knows nothing of the crate.
//!
//! What comes in is hostile: it passes a bounded filter before alacritty's emulator sees it, and nothing of it reaches the
//! user's own terminal except as cells that are drawn.
