"""Spoiled links to drawings, read and painted by the page itself in a real browser: a target of bench.fuzz."""

import time
from pathlib import Path
from typing import Any

from bench.page import browser, served

AT_ONCE = 2000  # links for each call into the browser
FUZZ = """async ([count, seed]) => {
    const { Drawing, fromLink, render, toLink } = await import("./drawing.js");
    let state = seed;
    const dice = (sides) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * sides);
    };
    const context = new OffscreenCanvas(280, 280).getContext("2d");
    const drawing = new Drawing();
    const points = Array.from({ length: 40 }, () => dice(1000) / 1000);
    drawing.replace(null, [1, 2, 3].map((each) => ({ erase: each === 2, width: each / 20, points })));
    const whole = [String(toLink(drawing)), "t=17", `i=${"AAEC_w".repeat(175)}`.slice(0, 1048)];
    const letters = "ABCXYZabcxyz0189-_=&%+.~#sti \\u0000\\u00e9\\ud800";
    const spoil = (link) => {
        for (let times = dice(6); times >= 0; times--) {
            const [at, length, letter] = [dice(link.length + 1), dice(12), letters[dice(letters.length)]];
            const insert = [letter, "", link.slice(at, at + length).repeat(2), letter.repeat(dice(9))][dice(4)];
            link = link.slice(0, at) + insert + link.slice(at + (dice(2) ? length : 0));
        }
        return link;
    };
    const seen = { understood: 0, refused: 0, slowest_ms: 0, harm: [] };
    for (let number = 0; number < count; number++) {
        const link = dice(20) ? spoil(whole[dice(whole.length)]) : whole[dice(whole.length)];
        const started = performance.now();
        let read = null;
        try {
            read = fromLink(new URLSearchParams(link));
        } catch (error) {
            seen.refused++;
        }
        if (read) {
            const numbers = read.strokes.flatMap(({ width, points }) => [width, ...points]);
            const base = read.pixels && { kind: "pixels", size: Math.sqrt(read.pixels.length), pixels: read.pixels };
            try {
                render(context, { base, strokes: read.strokes }, 280);
                seen.understood++;
                if (!numbers.every((value) => value >= 0 && value <= 2)) seen.harm.push(link);
            } catch (error) {
                seen.harm.push(`${error}: ${link}`);
            }
        }
        seen.slowest_ms = Math.max(seen.slowest_ms, performance.now() - started);
    }
    return seen;
}"""


def fuzz_link(model: Path, seconds: float, seed: int) -> dict[str, Any]:
    """What was understood, refused, and did harm: was painted from nonsense, or failed while painted."""
    found: dict[str, Any] = {"refused": 0, "understood": 0, "slowest_ms": 0.0, "harm": 0}
    with served(model) as address, browser() as page:
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        begin, calls = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            seen = page.evaluate(FUZZ, [AT_ONCE, seed * 1_000_003 + calls])
            calls += 1
            for link in seen["harm"]:
                print(f"link: {link}")
            found["harm"] += len(seen["harm"])
            found["slowest_ms"] = max(found["slowest_ms"], round(seen["slowest_ms"], 1))
            for name in ("refused", "understood"):
                found[name] += seen[name]
    return {"minutes": round(seconds / 60, 2), "seed": seed} | found
