export const GET = async (request) => new Response(`Hello ${request.cookies.get("user")?.value}`);
