//! The extension: everything that knows Ruby.
