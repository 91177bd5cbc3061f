/** Where the page lives: at a server, or on disk with all that it needs, as serve/site.py writes it. */

/** {models: {name: {about, network}}, facts, images, planes, words}; null at a server. */
export const site = globalThis.cifraSite ?? null;
export const isAlone = Boolean(site);
