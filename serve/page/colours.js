/** One colour language: orange is positive, blue is negative, the paper is zero. */

const SCALES = {
  light: {
    negative: [
      [255, 255, 255],
      [198, 219, 239],
      [107, 160, 208],
      [33, 102, 172],
      [8, 48, 107],
    ],
    positive: [
      [255, 255, 255],
      [254, 224, 189],
      [250, 164, 84],
      [204, 92, 14],
      [110, 42, 4],
    ],
  },
  dark: {
    negative: [
      [27, 31, 38],
      [24, 62, 105],
      [44, 110, 178],
      [112, 172, 226],
      [208, 230, 250],
    ],
    positive: [
      [27, 31, 38],
      [97, 47, 10],
      [196, 94, 18],
      [246, 160, 80],
      [255, 226, 190],
    ],
  },
};
const STEPS = 256;
const EVEN = 0.179; // luminance on which black and white are equally legible

const mix = (a, b, share) => a.map((channel, index) => Math.round(channel + (b[index] - channel) * share));

function ramp(stops) {
  return Array.from({ length: STEPS }, (_, step) => {
    const place = (step / (STEPS - 1)) * (stops.length - 1);
    const first = Math.min(Math.floor(place), stops.length - 2);
    return mix(stops[first], stops[first + 1], place - first);
  });
}

const packed = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;

function table({ negative, positive }) {
  const colours = [...ramp(negative).reverse(), ...ramp(positive).slice(1)];
  return { colours, words: Uint32Array.from(colours, (colour) => packed(colour) >>> 0), middle: STEPS - 1 };
}

const TABLES = { light: table(SCALES.light), dark: table(SCALES.dark) };
const GREYS = Uint32Array.from({ length: 256 }, (_, grey) => packed([grey, grey, grey]) >>> 0);
const NAMES = ["line", "muted", "positive", "negative", "focus", "focus-on-dark", "veil", "sans"];
let chosen = TABLES.light;

/** The style sheet's own values, looked up once: to ask for them while drawing would lay the page out anew. */
export const palette = {};

export function useTheme(theme) {
  chosen = TABLES[theme];
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) palette[name] = style.getPropertyValue(`--${name}`).trim();
}

const stepOf = (value, range) => {
  const share = range > 0 ? Math.max(-1, Math.min(1, value / range)) : 0;
  return chosen.middle + Math.round(share * chosen.middle);
};

/** Writes `values` as colours into `words`, the 32-bit view of an ImageData; ±range are the ends of the scale. */
export function paint(values, start, end, range, words) {
  const scale = range > 0 ? chosen.middle / range : 0;
  const { words: colours, middle } = chosen;
  for (let index = start; index < end; index++) {
    const step = Math.round(values[index] * scale);
    words[index - start] = colours[middle + (step > middle ? middle : step < -middle ? -middle : step)];
  }
}

export function paintGrey(values, words) {
  for (let index = 0; index < values.length; index++) words[index] = GREYS[Math.round(values[index])];
}

/** Planes of red, green and blue. */
export function paintColour(values, words) {
  const count = words.length;
  for (let index = 0; index < count; index++)
    words[index] = packed([values[index], values[index + count], values[index + 2 * count]]);
}

/** A colour, and one that is legible on it. */
export function swatch(value, range) {
  const colour = chosen.colours[stepOf(value, range)];
  return { background: `rgb(${colour})`, text: luminance(colour) > EVEN ? "#000" : "#fff" };
}

function luminance(colour) {
  const [red, green, blue] = colour.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function largest(values, start = 0, end = values.length) {
  let most = 0;
  for (let index = start; index < end; index++) most = Math.max(most, Math.abs(values[index]));
  return most;
}
