//! The words in which the table of Compose's types is written.

/// What a value becomes on its way through Go's types.
#[derive(Clone, Copy)]
pub(super) enum Type {
    /// Text; a number that Go keeps as `int` is printed.
    Text,
    /// A boolean that is printed only when true.
    Flag,
    /// A boolean that is printed whenever it is there.
    OptionalFlag,
    /// A whole number that is printed unless it is zero.
    Int,
    /// A whole number that is printed whenever it is there.
    OptionalInt,
    /// A whole number from zero to a largest one.
    Unsigned(u32),
    /// A whole number from zero on that is printed whenever it is there.
    OptionalUnsigned,
    /// A number of 32 bits.
    Float,
    /// A size, printed as text in bytes.
    Bytes,
    /// A time that is printed unless it is zero.
    Time,
    /// A time that is printed whenever it is there.
    OptionalTime,
    /// A command, split like a shell does; `null` where there is none.
    Command,
    /// A health check; one text is for a shell.
    Test,
    /// A list of texts.
    Texts,
    /// A list of texts, or one.
    TextOrTexts,
    /// A list of scalars, or one text; printed as texts.
    ScalarsOrText,
    /// Names and texts; nothing is an empty text.
    Pairs,
    /// Names and texts, or no value.
    Environment,
    /// Names and texts, where Go is strict about what a text is.
    StrictPairs,
    /// Names and lists of texts.
    MultiPairs,
    /// Hosts with addresses, printed as `HOST=ADDRESS`.
    Hosts,
    /// Environment files; the path alone where the file is required.
    EnvFiles,
    /// Keys for SSH.
    Ssh,
    /// One limit, or a soft and a hard one.
    Limit,
    /// The mode of a file, in octal.
    Mode,
    /// How many devices; `all` is -1.
    DeviceCount,
    /// A Go struct that is printed even when it is empty.
    Struct(&'static [Field]),
    /// A Go struct that is printed whenever it is there.
    OptionalStruct(&'static [Field]),
    /// A list of structs.
    List(&'static Type),
    /// Names and structs.
    Map(&'static Type),
}

/// A field of a Go struct, in its order there.
pub(super) struct Field {
    /// The key that is read.
    pub(super) key: &'static str,
    /// The key that is printed.
    pub(super) printed: &'static str,
    /// Whether a zero is printed too.
    pub(super) always: bool,
    /// What the value becomes.
    pub(super) of: Type,
}

/// Makes a field that is left out when it is zero.
pub(super) const fn field(key: &'static str, of: Type) -> Field {
    Field {
        key,
        printed: key,
        always: false,
        of,
    }
}

/// Makes a field that is always printed.
pub(super) const fn always(key: &'static str, of: Type) -> Field {
    Field {
        key,
        printed: key,
        always: true,
        of,
    }
}

/// Makes a field that is always printed, under another name.
pub(super) const fn renamed(key: &'static str, printed: &'static str, of: Type) -> Field {
    Field {
        key,
        printed,
        always: true,
        of,
    }
}
