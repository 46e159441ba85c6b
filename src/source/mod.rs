//! Turns a commit into an immutable tree of files. The only room that knows libgit2.
