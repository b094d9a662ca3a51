//! What is known of a pool's snapshots, so that a tick lists again only what changed (`snapshots_changed`, OpenZFS 2.2+).
//! To be written: see `Index::refresh`.
