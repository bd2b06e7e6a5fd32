"""The MCP server (`anchorline mcp`): what agents may ask about plans, warm prefixes and cost. It only reads."""
