//! What this process takes: memory and processor time, from `/proc`.

/// Resident memory of this process in KiB, from `/proc`.
pub(crate) fn resident_kib() -> f64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|s| {
            s.lines().find_map(|l| {
                l.strip_prefix("VmRSS:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .trim()
                    .parse()
                    .ok()
            })
        })
        .unwrap_or(0.0)
}

/// Processor seconds of this process and its ended children.
pub(crate) fn cpu_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return 0.0;
    };
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return 0.0;
    };
    let fields: Vec<f64> = rest
        .split_whitespace()
        .map(|f| f.parse().unwrap_or(0.0))
        .collect();
    // utime, stime, cutime, cstime are fields 14 to 17; the first one after the name is 3. 100 ticks a second.
    fields
        .get(11..15)
        .map_or(0.0, |t| t.iter().sum::<f64>() / 100.0)
}
