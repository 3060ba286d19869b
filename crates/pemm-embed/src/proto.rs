//! The wire format of Protocol Buffers, read from a slice and written to a vector.
//!
//! Every length is checked against the bytes that are there, and nothing is allocated by what a
//! header promises: rten's own reader allocates first, so it is only given what was read here.

/// What is wrong with the bytes.
pub(crate) type Broken = String;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire<'a> {
    /// A varint.
    Number(u64),
    /// Eight bytes, little endian.
    Eight([u8; 8]),
    /// A string, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes, little endian.
    Four([u8; 4]),
}

/// Fields of one message, in the order of the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0u64;
        for (place, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.rest = &self.rest[place + 1..];
                return Ok(value);
            }
        }
        Err("a number does not end".into())
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(length).ok().filter(|&length| length <= self.rest.len());
        let Some(length) = length else {
            return Err("a field is longer than what is left of the file".into());
        };
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), Broken> {
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Eight(self.bytes(8)?.try_into().expect("eight bytes were taken")),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.bytes(length)?)
            }
            5 => Wire::Four(self.bytes(4)?.try_into().expect("four bytes were taken")),
            other => return Err(format!("a field of the unknown wire type {other}")),
        };
        Ok((key >> 3, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Wire<'a> {
    pub(crate) fn message(self) -> Result<&'a [u8], Broken> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) | Self::Eight(_) | Self::Four(_) => Err("a message is expected".into()),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, Broken> {
        std::str::from_utf8(self.message()?).map_err(|_| "a text is not UTF-8".into())
    }

    pub(crate) fn number(self) -> Result<i64, Broken> {
        match self {
            Self::Number(number) => Ok(number as i64),
            Self::Bytes(_) | Self::Eight(_) | Self::Four(_) => Err("a number is expected".into()),
        }
    }

    pub(crate) fn float(self) -> Result<f32, Broken> {
        match self {
            Self::Four(bytes) => Ok(f32::from_le_bytes(bytes)),
            Self::Bytes(_) | Self::Eight(_) | Self::Number(_) => Err("a float is expected".into()),
        }
    }

    /// Adds the varints of a repeated field, packed or not.
    pub(crate) fn numbers(self, to: &mut Vec<i64>) -> Result<(), Broken> {
        if let Self::Bytes(packed) = self {
            let mut fields = Fields::of(packed);
            while !fields.rest.is_empty() {
                to.push(fields.varint()? as i64);
            }
            return Ok(());
        }
        to.push(self.number()?);
        Ok(())
    }

    /// Adds the floats of a repeated field, packed or not.
    pub(crate) fn floats(self, to: &mut Vec<f32>) -> Result<(), Broken> {
        if let Self::Bytes(packed) = self {
            let (values, rest) = packed.as_chunks::<4>();
            if !rest.is_empty() {
                return Err("packed floats end within a number".into());
            }
            to.extend(values.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            return Ok(());
        }
        to.push(self.float()?);
        Ok(())
    }
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Writes a number as field `field`.
pub(crate) fn put_number(to: &mut Vec<u8>, field: u64, value: i64) {
    put_varint(to, field << 3);
    put_varint(to, value as u64);
}

/// Writes a text, bytes or a message as field `field`.
pub(crate) fn put_bytes(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(to, field << 3 | 2);
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut message = Vec::new();
        put_number(&mut message, 3, -5);
        put_bytes(&mut message, 700, b"text");
        let fields: Vec<_> = Fields::of(&message).map(Result::unwrap).collect();
        assert_eq!(fields, [(3, Wire::Number(-5i64 as u64)), (700, Wire::Bytes(b"text"))]);
        assert_eq!(fields[1].1.text().unwrap(), "text");
    }

    #[test]
    fn lengths_beyond_the_bytes_are_refused() {
        // Field 1, a length of 2^63, and one byte.
        let long = [0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 7];
        assert!(Fields::of(&long).next().unwrap().is_err());
        assert!(Fields::of(&[0x0d, 1, 2]).next().unwrap().is_err());
        assert!(Fields::of(&[0xff; 12]).next().unwrap().is_err());
        assert!(Fields::of(&[0x0b]).next().unwrap().is_err());
    }
}
