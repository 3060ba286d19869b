//! Moments as UTC dates and times, and spans of time for people.

use std::time::SystemTime;

use jiff::Timestamp;

/// `time` as `2026-11-22T11:50:03Z`.
pub fn utc(time: SystemTime) -> String {
    whole_seconds(time).to_string()
}

/// The day of `time` as `2026-11-22`: a stem for names of run folders.
pub fn utc_date(time: SystemTime) -> String {
    whole_seconds(time).strftime("%Y-%m-%d").to_string()
}

/// `time` rounded down to whole seconds; 1970 where it is beyond the calendar.
fn whole_seconds(time: SystemTime) -> Timestamp {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let seconds = time.as_nanosecond().div_euclid(1_000_000_000);
    Timestamp::from_second(seconds as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Seconds for people: `2 h 05 min`, `3 min 20 s`, `45 s`, and `4.5 s` below ten.
pub fn duration(seconds: f64) -> String {
    if (0.0..9.95).contains(&seconds) {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {:02} s", seconds % 60),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn known_moments() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
        assert_eq!(utc(UNIX_EPOCH - Duration::from_millis(1)), "1969-12-31T23:59:59Z");
        assert_eq!(utc_date(UNIX_EPOCH + Duration::from_secs(1_000_000_000)), "2001-09-09");
    }

    #[test]
    fn durations_for_people() {
        for (seconds, text) in [
            (0.4, "0.4 s"),
            (9.99, "10 s"),
            (59.6, "1 min 00 s"),
            (200.0, "3 min 20 s"),
            (7500.0, "2 h 05 min"),
            (f64::INFINITY, "277777 h 46 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
