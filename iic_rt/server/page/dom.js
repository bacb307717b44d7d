// $.name is the element with that id.
export const $ = new Proxy({}, { get: (_, id) => document.getElementById(id) });
