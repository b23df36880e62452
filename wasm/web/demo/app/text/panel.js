export function textPanel() {}
