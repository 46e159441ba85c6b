//! The engine through bollard. The only room that knows the client library.
