//! Reads the header of a dump in the custom format (`pg_backup_archiver.c`, `ReadHead`).

/// What the header of a dump says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backup) struct Header {
    /// The database that was dumped.
    pub(in crate::backup) database: String,
    /// Version of the server.
    pub(in crate::backup) server: String,
    /// Version of `pg_dump`.
    pub(in crate::backup) tool: String,
}

/// `archCustom`.
const CUSTOM: u8 = 1;

struct Reader<'a> {
    rest: &'a [u8],
    int_size: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    /// Reads a sign and a number, the least significant byte first.
    fn int(&mut self) -> Option<i64> {
        let negative = self.byte()? != 0;
        let bytes = self.bytes(self.int_size)?;
        let mut number = 0_i64;
        for byte in bytes.iter().rev() {
            number = number.checked_mul(256)?.checked_add(i64::from(*byte))?;
        }
        Some(if negative { -number } else { number })
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.int()?).ok()?;
        String::from_utf8(self.bytes(length)?.to_vec()).ok()
    }
}

impl Header {
    /// Reads the first bytes of a dump; `None` when they are none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader {
            rest: bytes.strip_prefix(b"PGDMP")?,
            int_size: 4,
        };
        let version = (reader.byte()?, reader.byte()?);
        let _revision = reader.byte()?;
        // 1.10 is of version 8.0; the next format is a new major number.
        if !((1, 10)..(2, 0)).contains(&version) {
            return None;
        }
        reader.int_size = usize::from(reader.byte()?);
        if !(1..=8).contains(&reader.int_size) {
            return None;
        }
        let _offset_size = reader.byte()?;
        if reader.byte()? != CUSTOM {
            return None;
        }
        // The method of compression: a byte since 1.15, a level before.
        if version >= (1, 15) {
            reader.byte()?;
        } else {
            reader.int()?;
        }
        // Second, minute, hour, day, month, year, daylight saving.
        for _ in 0..7 {
            reader.int()?;
        }
        Some(Self {
            database: reader.text()?,
            server: reader.text()?,
            tool: reader.text()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `pg_dump` 17 and 12 write it.
    fn dump(version: [u8; 3], compression: &[u8]) -> Vec<u8> {
        let mut bytes = b"PGDMP".to_vec();
        bytes.extend(version);
        bytes.extend([4, 8, 1]);
        bytes.extend(compression);
        for _ in 0..7 {
            bytes.extend([0, 5, 0, 0, 0]);
        }
        for text in ["app", "17.2", "17.2 (Debian)"] {
            bytes.extend([0, u8::try_from(text.len()).unwrap(), 0, 0, 0]);
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    #[test]
    fn reads_both_forms_of_compression() {
        for bytes in [dump([1, 16, 0], &[1]), dump([1, 14, 0], &[1, 1, 0, 0, 0])] {
            let header = Header::read(&bytes).unwrap();
            assert_eq!((&*header.database, &*header.server), ("app", "17.2"));
            assert_eq!(header.tool, "17.2 (Debian)");
        }
    }

    #[test]
    fn takes_no_other_bytes() {
        let whole = dump([1, 16, 0], &[1]);
        for length in 0..whole.len() {
            assert_eq!(Header::read(&whole[..length]), None, "{length}");
        }
        assert_eq!(Header::read(b"-- PostgreSQL database dump"), None);
        assert_eq!(Header::read(&dump([2, 0, 0], &[1])), None);
    }
}
