//! AMS's `double` fields without floats.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A `double` of AMS's wire (`speed`, `packetLostRatio`), kept in millionths: replicas must agree to
/// the last bit, and a value must come back from its JSON unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(i64);

impl Ratio {
    /// From millionths.
    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    pub const fn as_millionths(self) -> i64 {
        self.0
    }

    /// Rounds `value` to the nearest millionth. Beyond the range it saturates, NaN becomes zero.
    pub fn from_f64(value: f64) -> Self {
        // `as` saturates and maps NaN to 0, which is the behaviour wanted here.
        Self((value * 1e6).round() as i64)
    }

    /// As the wire shows it.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::from_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_from_json_unchanged() {
        for millionths in [0, 1, -1, 1_030_000, 333_333, 999_999_999_999] {
            let ratio = Ratio::from_millionths(millionths);
            let json = serde_json::to_string(&ratio).unwrap();
            assert_eq!(serde_json::from_str::<Ratio>(&json).unwrap(), ratio, "{json}");
        }
        assert_eq!(serde_json::to_string(&Ratio::default()).unwrap(), "0.0");
        assert_eq!(serde_json::from_str::<Ratio>("1").unwrap(), Ratio::from_millionths(1_000_000));
    }
}
