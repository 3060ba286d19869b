//! Seconds since 1970 as a UTC date and time, without a calendar library.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_SECS: i64 = 86_400;

/// `time` as `2026-11-22T11:50:03Z`.
pub fn utc(time: SystemTime) -> String {
    let seconds = unix_seconds(time);
    let (year, month, day) = civil_date(seconds.div_euclid(DAY_SECS));
    let rest = seconds.rem_euclid(DAY_SECS);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The day of `time` as `2026-11-22`: a stem for names of run folders.
pub fn utc_date(time: SystemTime) -> String {
    let (year, month, day) = civil_date(unix_seconds(time).div_euclid(DAY_SECS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Whole seconds since 1970, rounded down; negative before.
fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs() as i64,
        Err(before) => {
            let before = before.duration();
            -(before.as_secs() as i64) - i64::from(before.subsec_nanos() > 0)
        }
    }
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01.
///
/// Years start on the 1st of March, so that the leap day is a year's last day, and 400 years are
/// one era of 146,097 days (Hinnant, "chrono-compatible low-level date algorithms").
fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
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
    use std::time::Duration;

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
    fn consecutive_days_are_consecutive_dates() {
        let mut previous = civil_date(-1_000_000);
        for days in -999_999..1_000_000 {
            let date = civil_date(days);
            let next_day = (date.0, date.1) == (previous.0, previous.1) && date.2 == previous.2 + 1;
            let next_month = date.2 == 1 && date.1 == previous.1 + 1 && previous.2 >= 28;
            let next_year = (date.1, date.2) == (1, 1) && (previous.1, previous.2) == (12, 31);
            assert!(next_day || next_month || next_year, "{previous:?} then {date:?}");
            previous = date;
        }
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
