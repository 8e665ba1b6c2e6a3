export const describe = (id) => `id ${id}`;
