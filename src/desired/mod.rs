//! Turns a tree at one commit into the desired state of a stack.
